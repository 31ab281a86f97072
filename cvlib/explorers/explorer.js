// What explorers share: a form that filters and orders a list of pictures, arrow keys that walk through it.
const form = root.querySelector("form"), list = root.querySelector("ul");
const status = root.querySelector("[role=status]"), detail = root.querySelector(".detail");
const items = [...list.children];
const visible = () => [...list.children].filter(item => !item.hidden).map(item => item.firstChild);

function arrange(wanted, order, describe) {
  for (const item of items) {
    item.hidden = !wanted(item.dataset);
    item.firstChild.tabIndex = -1;
  }
  list.append(...[...items].sort((a, b) => order(a.dataset, b.dataset)));
  const shown = visible();
  if (shown.length) shown[0].tabIndex = 0;
  status.textContent = describe(shown.map(button => button.parentNode.dataset));
}

function press(button) {
  list.querySelectorAll("[aria-pressed=true]").forEach(old => old.setAttribute("aria-pressed", "false"));
  button.setAttribute("aria-pressed", "true");
}

function element(tag, text, ...children) {
  const made = document.createElement(tag);
  made.append(...(text ? [text] : []), ...children);
  return made;
}

list.addEventListener("click", event => {
  const button = event.target.closest("button");
  if (button) show(button);
});
list.addEventListener("keydown", event => {
  const shown = visible(), here = shown.indexOf(document.activeElement);
  const columns = getComputedStyle(list).gridTemplateColumns.split(" ").length;
  const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns}[event.key];
  const next = shown[here + step];
  if (here < 0 || !step || !next) return;
  event.preventDefault();
  shown[here].tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
form.addEventListener("input", update);
form.addEventListener("submit", event => event.preventDefault());
