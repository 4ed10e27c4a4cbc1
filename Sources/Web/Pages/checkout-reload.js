// Loads a page that waits again when its modules did not arrive or are not understood: as it does without scripts, and in
// words that every browser understands.

setTimeout(function () {
  if (!document.getElementById('checkout').dataset.live) location.reload();
}, 10000);
