// Loads a page that waits again when its modules did not arrive or are not understood: as it does without scripts, and in
// words that every browser understands. It looks first, since a page that is not there would take the place of this one.

(function () {
  var timer, request;
  function later(ms) {
    clearTimeout(timer);
    timer = setTimeout(look, ms);
  }
  function look() {
    if (document.getElementById('checkout').dataset.live) return;
    var own = request = new XMLHttpRequest();
    own.open('GET', location.href);
    own.timeout = 10000;
    own.onloadend = function () {
      if (own !== request) return;
      document.getElementById('offline').hidden = own.status === 200;
      if (own.status === 200) location.reload();
      later(10000);
    };
    own.send();
  }
  // To load again would take back a press whose answer is on its way.
  function leave() {
    request = null;
    later(60000);
  }
  document.addEventListener('click', leave);
  document.addEventListener('submit', leave);
  later(10000);
})();
