/* Comfort on every page: copy buttons, "/" for the search field, and what follows a live message.
   Every page reads without it. */
(function () {
  "use strict";

  /* The clipboard works only where the address is trusted: on this machine, or over TLS. */
  function showButtons() {
    if (!navigator.clipboard) return;
    document.querySelectorAll(".cmd button[hidden], button.copy[hidden]").forEach(function (button) { button.hidden = false; });
  }
  document.addEventListener("click", function (event) {
    var button = event.target.closest && event.target.closest(".cmd button, button.copy");
    if (!button || !navigator.clipboard) return;
    var source = button.dataset.copy ? document.getElementById(button.dataset.copy) : button.previousElementSibling;
    var text = "value" in source ? source.value : source.textContent;
    navigator.clipboard.writeText(text).then(function () {
      var label = button.textContent;
      button.textContent = "Copied";
      setTimeout(function () { button.textContent = label === "Copied" ? "Copy" : label; }, 2000);
    });
  });

  document.addEventListener("keydown", function (event) {
    var find = document.querySelector(".find input");
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || !find) return;
    if (/INPUT|TEXTAREA|SELECT/.test(document.activeElement.tagName) || document.activeElement.isContentEditable) return;
    event.preventDefault();
    find.focus();
    find.select();
  });

  /* A page that asks for itself again (`hx-get` of main) does so only while it is looked at. What has not changed
     stays as it is: focus, scroll position, open details. */
  var main = document.getElementById("main");
  document.addEventListener("htmx:before:request", function (event) {
    if (event.target.id !== "now" && document.hidden) event.preventDefault();
  });
  document.addEventListener("visibilitychange", function () {
    if (!document.hidden && window.htmx && main.hasAttribute("hx-get")) htmx.trigger(main, "reload");
  });
  function lost(is) {
    document.querySelectorAll(".lost").forEach(function (each) { each.hidden = !is; });
  }
  document.addEventListener("htmx:before:response", function (event) {
    if (event.target.id === "now" || event.detail.ctx.response.status < 400) return;
    lost(true);
    event.preventDefault(); // an error page replaces nothing
  });
  ["htmx:error", "htmx:sse:error"].forEach(function (name) { document.addEventListener(name, function () { lost(true); }); });
  ["htmx:after:swap", "htmx:sse:after:message"].forEach(function (name) { document.addEventListener(name, function () { lost(false); }); });

  function tint(records) { // rows that are new on an open page
    var moved = new Set();
    records.forEach(function (each) { each.removedNodes.forEach(moved.add, moved); });
    records.forEach(function (each) {
      each.addedNodes.forEach(function (node) {
        if (!moved.has(node) && node.matches && node.matches("tr, .todo > li")) node.classList.add("fresh");
      });
    });
  }
  document.addEventListener("animationend", function (event) { event.target.classList.remove("fresh"); });

  new MutationObserver(function (records) { tint(records); showButtons(); }).observe(main, { childList: true, subtree: true });
  showButtons();
})();
