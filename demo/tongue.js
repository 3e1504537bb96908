// The page's English texts, those that the server sends later too, in the visitor's language where that is known.
const OWN = ".player, .history, #recipe, textarea, script, style"; // said in that language already, or the visitor's own
const sentences = Object.entries(tongue).map(([english, local]) => {
  const escaped = english.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{(\w+)\}/g, "(?<$1>[^\\s,]+)");
  const whole = english.length < 25 && !/[.:{]/.test(english); // else it may stand beside others
  return [new RegExp(whole ? `^${escaped}$` : escaped, "g"), local];
});

const inLanguage = (english) =>
  sentences.reduce(
    (said, [pattern, local]) =>
      said.replace(pattern, (...found) => say(local, typeof found.at(-1) === "object" ? found.at(-1) : {})),
    english,
  );

function translateText(text) {
  const before = text.nodeValue.trim();
  if (!before || text.parentElement?.closest(OWN)) return;
  const after = inLanguage(before);
  if (after !== before) text.nodeValue = text.nodeValue.replace(before, () => after);
}

function translate(node) {
  if (node.nodeType === Node.TEXT_NODE) return translateText(node);
  if (node.nodeType !== Node.ELEMENT_NODE) return;
  const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) translateText(walker.currentNode);
  for (const field of node.querySelectorAll("[placeholder]")) field.placeholder = inLanguage(field.placeholder);
}

if (sentences.length) {
  const main = document.querySelector("main") ?? document.body;
  new MutationObserver((changes) => {
    for (const change of changes) {
      if (change.type === "characterData") translate(change.target);
      else change.addedNodes.forEach(translate);
    }
  }).observe(main, { childList: true, characterData: true, subtree: true });
  translate(main);
}
