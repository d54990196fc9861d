// The list of pages shows the place of this one.
addEventListener("load", () => requestAnimationFrame(() => {  // the theme has given the list its height
  const list = document.querySelector(".md-sidebar--primary .md-sidebar__scrollwrap");
  const here = list?.querySelector("[aria-current]");
  if (here) list.scrollTop += here.getBoundingClientRect().top - list.getBoundingClientRect().top - list.clientHeight / 2;
}));

// What the theme's script adds to a page, for keyboards and screen readers.
function mend() {
  // The buttons of each code block are a landmark without a name, and a page has dozens.
  for (const buttons of document.querySelectorAll("nav.md-code__nav:not([role])")) buttons.setAttribute("role", "none");
  // A table or a drawing that scrolls sideways can be reached by the keyboard.
  for (const wide of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset p:has(> img)")) {
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
  }
}
new MutationObserver(() => requestAnimationFrame(mend)).observe(document.documentElement, { childList: true, subtree: true });
addEventListener("resize", mend);
