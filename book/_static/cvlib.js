// Names that screen readers and voice control need, and the stock theme leaves out.
document.addEventListener("DOMContentLoaded", () => {
  for (const button of document.querySelectorAll("button[aria-label]")) {
    const seen = button.innerText.trim();
    if (seen && !button.ariaLabel.includes(seen)) button.ariaLabel = seen;
  }
  for (const summary of document.querySelectorAll("summary[aria-label]")) {
    summary.removeAttribute("aria-label");
  }
  for (const summary of document.querySelectorAll(".has-children summary")) {
    const page = summary.closest("li").querySelector("a").innerText;
    summary.ariaLabel = `Pages below ${page}`;
  }
  for (const pre of document.querySelectorAll(".highlight pre")) {
    if (pre.scrollWidth > pre.clientWidth) pre.tabIndex = 0;
  }
});
