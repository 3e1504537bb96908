// One request at a time: Compose while composing is noted and begins when this one is done, and Stop is live only then.
const words = inTongue(props.words);
const note = make("p", "turn-note", { role: "status" });
element.replaceChildren(note);

const STARTERS = "#compose, #explore-takes, #explore-dose, #swap-examples .thumbnail-item";
let next = null;
const working = () => Boolean(document.querySelector("#status .is-working"));

function intend(starter) {
  next = starter;
  note.textContent = starter ? words.noted : "";
}

document.addEventListener("click", (event) => {
  const at = event.target.closest?.(`${STARTERS}, #stop`);
  if (!at || !working()) return;
  if (at.id === "stop") return intend(null);
  event.preventDefault();
  event.stopImmediatePropagation();
  if (event.detail < 2) intend(at); // the second half of a double click means nothing more
}, true);

document.addEventListener("turn-over", ({ detail: refused }) => {
  const starter = next;
  intend(null);
  if (starter && !refused) setTimeout(() => starter.click()); // Gradio still counts this one as running
});

function live() {
  const stop = document.getElementById("stop");
  if (stop) stop.disabled = !working();
}
new MutationObserver(live).observe(document.body, { childList: true, subtree: true });
live();
