const orders = {
  loss: (a, b) => b.loss - a.loss,
  surest: (a, b) => b.score - a.score,
  unsure: (a, b) => a.score - b.score,
};

function update() {
  const wanted = Object.fromEntries(new FormData(form));
  const high = wanted.high === "" ? 100 : +wanted.high;
  arrange(
    it => ["verdict", "label", "predicted"].every(key => !wanted[key] || wanted[key] === it[key])
      && +it.score >= (+wanted.low || 0) && +it.score <= high,
    orders[wanted.order],
    shown => `${shown.length} of ${items.length} images, `
      + `${shown.filter(it => it.verdict === "right").length} of them right`,
  );
}

function show(button) {
  press(button);
  const rows = [["truth", button.parentNode.dataset.label],
    ...JSON.parse(button.dataset.top).map(([name, score]) => [name, `${score} %`])];
  if (button.dataset.name) rows.push(["file", button.dataset.name]);
  const facts = rows.flatMap(([name, value]) => [element("dt", name), element("dd", value)]);
  detail.replaceChildren(button.querySelector("img").cloneNode(), element("dl", "", ...facts));
}

update();
