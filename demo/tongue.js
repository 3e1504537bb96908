// What the server says on the page in English, said in the visitor's language where that is known.
const SAID = "#masthead, #status, #preview, #facts, #caption-note, #suggest, #example-words, #seed-lock, .legend";
const sentences = Object.entries(tongue).map(([english, local]) => {
  const escaped = english.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{(\w+)\}/g, "(?<$1>[^\\s,]+)");
  const whole = english.length < 25 && !/[.:{]/.test(english); // else it may stand beside others
  return [new RegExp(whole ? `^${escaped}$` : escaped, "g"), local];
});

function translate(node) {
  const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const before = text.nodeValue.trim();
    if (!before) continue;
    const after = sentences.reduce(
      (said, [pattern, local]) => said.replace(pattern, (...found) => {
        const last = found.at(-1);
        return say(local, typeof last === "object" ? last : {});
      }),
      before,
    );
    if (after !== before) text.nodeValue = text.nodeValue.replace(before, () => after);
  }
}

if (sentences.length) {
  const all = () => document.querySelectorAll(SAID).forEach(translate);
  new MutationObserver(all).observe(document.body, { childList: true, characterData: true, subtree: true });
  all();
}
