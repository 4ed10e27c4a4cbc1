// Reloads a page that waits, when its modules did not arrive or the browser does not understand them. This file is
// written for every browser. It asks for the status first: without a server a reload would replace the page by an
// error.

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
      // The modules have started, or a press is on its way.
      if (page.live || own !== request) return;
      var view = null;
      try { view = JSON.parse(own.responseText); } catch (error) { /* No answer, or a proxy's. */ }
      var isAnswered = !!view && (view.version !== undefined || own.status < 500 && /payonce/.test(view.type));
      document.getElementById('offline').hidden = isAnswered;
      // This line is only as new as the page.
      document.getElementById('check').hidden = true;
      if (isAnswered && String([view.version, view.provider_available]) !== String([page.version, page.available])) {
        location.reload();
      }
      later(10000);
    };
    own.send();
  }
  // A reload would cancel a press whose answer is on its way.
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
