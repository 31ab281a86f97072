const orders = {
  worst: (a, b) => b.rank - a.rank || a.index - b.index,
  best: (a, b) => a.rank - b.rank || a.index - b.index,
  given: (a, b) => a.index - b.index,
};
const bin = root.querySelector("template"), summary = root.querySelector(".summary");
const query = index => items.find(item => item.dataset.index === String(index)).firstChild;
const picture = index => (bin
  ? bin.content.querySelector(`[data-index="${index}"]`)
  : query(index).querySelector("img")).cloneNode();

function update() {
  const wanted = Object.fromEntries(new FormData(form));
  arrange(
    it => ["verdict", "thing"].every(key => !wanted[key] || wanted[key] === it[key]),
    orders[wanted.order],
    shown => `${shown.length} of ${items.length} queries, `
      + `${shown.filter(it => it.verdict === "hit").length} with a match in place 1`,
  );
}

function neighbour([index, thing, similarity, hit], place) {
  const image = picture(index), verdict = hit ? "a match" : "no match";
  image.alt = `Place ${place + 1}: ${thing}, similarity ${similarity}, ${verdict}`;
  const inside = [image, element("span", `${thing} ${similarity}`)];
  const item = element("li", "", ...(bin ? inside : [element("button", "", ...inside)]));
  item.className = hit ? "hit" : "miss";
  if (!bin) {
    item.firstChild.type = "button";
    item.firstChild.dataset.query = index;
  }
  return item;
}

function show(button) {
  press(button);
  const {thing, rank, verdict} = button.parentNode.dataset;
  const where = verdict === "alone" ? "no match in the gallery" : `first match in place ${rank}`;
  summary.textContent = `${thing}: ${where}. ${button.dataset.name}`;
  const found = JSON.parse(button.dataset.neighbours).map(neighbour);
  const places = element("ol", "", ...found);
  places.setAttribute("aria-label", "Closest images");
  detail.replaceChildren(button.querySelector("img").cloneNode(), places);
}

detail.addEventListener("click", event => {
  const chosen = event.target.closest("button");
  if (!chosen) return;
  show(query(chosen.dataset.query));
  detail.querySelector("button").focus();
});
update();
if (visible().length) show(visible()[0]);
