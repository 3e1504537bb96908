// Small helpers that the other scripts of the page share; each of them runs as `js_on_load` of a gr.HTML.
function make(tag, className, attributes = {}, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") node.toggleAttribute(name, value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}
const say = (text, values = {}) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

// What stands for English texts in the visitor's language; nothing where that is English, or one that is not known.
const tongue = (() => {
  const all = window.gradio_config?.i18n_translations ?? {};
  const wanted = navigator.language || "en";
  return all[wanted] ?? all[wanted.split("-")[0]] ?? {};
})();
const inTongue = (told) => {
  if (typeof told === "string") return tongue[told] ?? told;
  return Object.fromEntries(Object.entries(told).map(([name, text]) => [name, inTongue(text)]));
};
