/* The sandbox's live feed: lines that the server rendered are added on top, while the page is looked at.
   Without a script the page shows the calls that had come when it was opened. */
(function () {
  "use strict";
  var MOST = 200; // lines that stay on the page
  var feed = document.querySelector("[data-live]");
  if (!feed || !window.EventSource) return;
  var address = new URL(feed.dataset.live, location.href);
  var isList = feed.tagName === "OL";
  var source = null;
  var holder = document.createElement("template");

  function lost(is) {
    document.querySelectorAll(".lost").forEach(function (each) { each.hidden = !is; });
  }
  function show(found) {
    if (!isList) { location.reload(); return; } // the first call of all
    holder.innerHTML = found.html;
    if (found.more) {
      var more = document.createElement("li");
      more.className = "muted";
      more.textContent = "and " + found.more.toLocaleString("en") + (found.more === 1 ? " call" : " calls") + " before these";
      holder.content.append(more);
    }
    feed.prepend(holder.content);
    while (feed.children.length > MOST) feed.lastElementChild.remove();
    var total = document.getElementById("total"), facts = document.getElementById("facts");
    if (total) total.textContent = found.total;
    if (facts) facts.innerHTML = found.facts;
  }
  function open() {
    if (source) return;
    source = new EventSource(address);
    source.addEventListener("open", function () { lost(false); });
    source.addEventListener("error", function () { lost(true); });
    source.addEventListener("calls", function (event) {
      address.searchParams.set("after", event.lastEventId);
      show(JSON.parse(event.data));
    });
  }
  function close() {
    if (source) source.close();
    source = null;
  }
  document.addEventListener("visibilitychange", function () { if (document.hidden) close(); else open(); });
  addEventListener("pagehide", close);
  if (!document.hidden) open();
})();
