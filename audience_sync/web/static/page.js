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

  /* "reload": the page shows something else now, such as a run that has ended. */
  document.addEventListener("reload", function () { location.reload(); });
  function lost(is) {
    document.querySelectorAll(".lost").forEach(function (each) { each.hidden = !is; });
  }
  document.addEventListener("htmx:sse:error", function () { lost(true); });
  document.addEventListener("htmx:sse:after:message", function () { lost(false); });

  new MutationObserver(showButtons).observe(document.getElementById("main"), { childList: true, subtree: true });
  showButtons();
})();
