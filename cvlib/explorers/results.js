const form = root.querySelector("form"), list = root.querySelector("ul");
const status = root.querySelector("[role=status]"), detail = root.querySelector(".detail");
const items = [...list.children];
const orders = {
  loss: (a, b) => b.dataset.loss - a.dataset.loss,
  surest: (a, b) => b.dataset.score - a.dataset.score,
  unsure: (a, b) => a.dataset.score - b.dataset.score,
};
const visible = () => [...list.children].filter(item => !item.hidden).map(item => item.firstChild);

function update() {
  const wanted = Object.fromEntries(new FormData(form));
  for (const item of items) {
    const it = item.dataset;
    item.hidden = ["verdict", "label", "predicted"].some(key => wanted[key] && wanted[key] !== it[key])
      || +it.score < (+wanted.low || 0) || +it.score > (wanted.high === "" ? 100 : +wanted.high);
  }
  list.append(...items.sort(orders[wanted.order]));
  const shown = visible(), right = shown.filter(button => button.parentNode.dataset.verdict === "right");
  status.textContent = `${shown.length} of ${items.length} images, ${right.length} of them right`;
  items.forEach(item => { item.firstChild.tabIndex = -1; });
  if (shown.length) shown[0].tabIndex = 0;
}

function show(button) {
  list.querySelectorAll("[aria-pressed=true]").forEach(old => old.setAttribute("aria-pressed", "false"));
  button.setAttribute("aria-pressed", "true");
  const picture = button.querySelector("img").cloneNode(), facts = document.createElement("dl");
  const rows = [["truth", button.parentNode.dataset.label],
    ...JSON.parse(button.dataset.top).map(([name, score]) => [name, `${score} %`])];
  if (button.dataset.name) rows.push(["file", button.dataset.name]);
  for (const row of rows) row.forEach((text, i) => {
    const cell = document.createElement(i ? "dd" : "dt");
    cell.textContent = text;
    facts.append(cell);
  });
  detail.replaceChildren(picture, facts);
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
update();
