// Letters, Space and the arrows work wherever the focus is, except where they mean something else.
const TEXT = "textarea, select, [contenteditable=true], [contenteditable=''], " +
  "input:not([type=button], [type=checkbox], [type=file], [type=radio], [type=range], [type=reset], [type=submit])";
const PRESSED = "button, summary, a[href], input[type=checkbox], input[type=radio], [role=button], [role=option]";
const MOVED = "input[type=range], input[type=radio], [role=slider], [role=option], [role=tab]";
let byKeyboard = false; // who came to a button with Tab presses it with Space; who clicked it does not mean to again
document.addEventListener("pointerdown", () => (byKeyboard = false), true);

function onKey(event) {
  if (event.key === "Tab") byKeyboard = true;
  if (!session || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.target instanceof Element ? event.target : document.body;
  if (at.matches(TEXT)) return;
  const index = session.letters.indexOf(event.key.toUpperCase());
  const own = at.matches(".pl-seek");
  if (index >= 0) choose(index);
  else if (event.key === " " && !(at.matches(PRESSED) && byKeyboard)) {
    if (session.playing) pause();
    else play();
  } else if (event.key === "ArrowLeft" && (own || !at.matches(MOVED))) seek(position() - 1);
  else if (event.key === "ArrowRight" && (own || !at.matches(MOVED))) seek(position() + 1);
  else return;
  event.preventDefault();
  event.stopPropagation();
}
document.addEventListener("keydown", onKey, true);
// A button is pressed when Space is let go.
document.addEventListener("keyup", (event) => {
  const pressed = event.target instanceof Element && event.target.matches(PRESSED);
  if (session && event.key === " " && pressed && !byKeyboard) event.preventDefault();
}, true);
