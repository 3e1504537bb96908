// Every file that comes onto the page comes through here: dropped anywhere, pasted, or chosen. The server says what
// it is, and what it cannot use changes nothing.
const words = inTongue(props.words);
const veil = make("div", "drop-veil", { hidden: true, "aria-hidden": "true" }, words.drop);
element.replaceChildren(veil);

async function receive(files) {
  const file = files[0];
  if (!file) return;
  if (file.size > props.most_bytes) return trigger("arrive", { name: file.name, trouble: "large" });
  element.toggleAttribute("data-busy", true);
  try {
    const { path } = await upload(file);
    trigger("arrive", { name: file.name, path });
  } catch (error) {
    trigger("arrive", { name: file.name, trouble: "upload" });
  } finally {
    element.toggleAttribute("data-busy", false);
  }
}

const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
function taken(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}
for (const type of ["dragenter", "dragover"]) {
  document.addEventListener(type, (event) => {
    if (!carriesFiles(event)) return;
    taken(event);
    veil.hidden = false;
  }, true);
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) veil.hidden = true;
}, true);
document.addEventListener("drop", (event) => {
  veil.hidden = true;
  if (!carriesFiles(event)) return;
  taken(event);
  receive([...event.dataTransfer.files]);
}, true);
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (!files.length) return;
  taken(event);
  receive(files);
}, true);
document.addEventListener("change", (event) => {
  if (!event.target.matches?.("#picture input[type=file], #open-take input[type=file]")) return;
  taken(event);
  receive([...event.target.files]);
  event.target.value = "";
}, true);
