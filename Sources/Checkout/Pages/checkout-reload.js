// Loads a page that waits again when its modules did not arrive or are not understood: as it does without scripts, and in
// words that every browser understands. It looks first, since a page that is not there would take the place of this one.

(function () {
  var timer, request;
  function later(ms) {
    clearTimeout(timer);
    timer = setTimeout(look, ms);
  }
  function look(asks) {
    var page = document.getElementById('checkout').dataset;
    if (page.live) return;
    var own = request = new XMLHttpRequest();
    own.open('GET', page.base + '/status' + (asks === true ? '?wait=0' : ''));
    own.timeout = 10000;
    own.onloadend = function () {
      // The modules are here, or a press is on its way.
      if (page.live || own !== request) return;
      var view = null;
      try { view = JSON.parse(own.responseText); } catch (error) { /* Nobody's answer, or a proxy's. */ }
      var isAnswered = !!view && (view.version !== undefined || own.status < 500 && /payonce/.test(view.type));
      document.getElementById('offline').hidden = isAnswered;
      // It is as of the last time that the page was loaded.
      document.getElementById('check').hidden = true;
      if (isAnswered && String([view.version, view.provider_available]) !== String([page.version, page.available])) {
        location.reload();
      }
      later(10000);
    };
    own.send();
  }
  // To load again would take back a press whose answer is on its way.
  function leave() {
    request = null;
    later(60000);
  }
  document.addEventListener('submit', leave);
  document.addEventListener('click', function (event) {
    var link = event.target;
    while (link && link.tagName !== 'A') link = link.parentNode;
    if (link && link.target !== '_blank') leave();
  });
  window.addEventListener('pageshow', function (event) { if (event.persisted) look(true); });
  later(10000);
})();
