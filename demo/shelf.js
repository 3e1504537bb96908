// The takes that this browser keeps: sound as FLAC, the original picture, a name and a star, in IndexedDB.
const words = inTongue(props.words);
const root = make("div", "shelf");
element.replaceChildren(root);

const database = new Promise((done, fail) => {
  const request = indexedDB.open("melfusion-studio", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("takes", { keyPath: "id" });
  request.onsuccess = () => done(request.result);
  request.onerror = () => fail(request.error);
});
database.catch(() => tell(words.cannot_keep));

async function ask(mode, work) {
  const store = (await database).transaction("takes", mode).objectStore("takes");
  return new Promise((done, fail) => {
    const request = work(store);
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });
}
const find = (id) => ask("readonly", (store) => store.get(id));
const keep = (record) => ask("readwrite", (store) => store.put(record));
const forget = (id) => ask("readwrite", (store) => store.delete(id));
const all = async () => (await ask("readonly", (store) => store.getAll())).sort((a, b) => b.when - a.when);

// Keeping

async function makeRoom(bytes) {
  // Starred takes stay; of the others the oldest go, until there is room for so much more.
  const records = await all();
  const estimate = (await navigator.storage?.estimate?.()) ?? {};
  const quota = Math.min(props.most_bytes, (estimate.quota ?? Infinity) / 2);
  let used = records.reduce((sum, record) => sum + record.bytes, 0);
  const loose = records.filter((record) => !record.star);
  for (let count = records.length; loose.length && (used + bytes > quota || count >= props.most_takes); count--) {
    const oldest = loose.pop();
    await forget(oldest.id);
    used -= oldest.bytes;
  }
  return used + bytes <= quota;
}

async function store({ keep: told, takes }, bytes) {
  const known = await find(told.id);
  if (known) return keep({ ...known, used: Date.now() });
  const sounds = (await Promise.all(bytes)).map((sound) => new Blob([sound], { type: "audio/flac" }));
  const picture = told.picture ? await (await fetch(told.picture.url)).blob() : null;
  const size = [...sounds, ...(picture ? [picture] : [])].reduce((sum, blob) => sum + blob.size, 0);
  const record = {
    id: told.id, mode: told.mode, title: told.title, detail: told.detail, region: told.region,
    pictureName: told.picture_name, thumbnail: takes[0].picture, name: "", star: false,
    when: Date.now(), used: Date.now(), bytes: size, sounds, picture,
  };
  if (!(await makeRoom(size))) throw new Error("no room");
  return keep(record);
}

document.addEventListener("take-shown", async ({ detail: { value, bytes } }) => {
  if (!value.keep) return;
  try {
    await store(value, bytes);
    tell("");
  } catch (error) {
    tell(words.cannot_keep);
  }
  await list();
});

// Bringing back

async function reopen(id) {
  const record = await find(id);
  if (!record) return;
  await keep({ ...record, used: Date.now() });
  const missing = await server.missing(id);
  const files = [];
  for (const [index, sound] of (missing.takes ? record.sounds : []).entries()) {
    files.push((await upload(new File([sound], `take-${index + 1}.flac`))).path);
  }
  const sent = missing.picture && record.picture ? await upload(new File([record.picture], record.pictureName)) : null;
  trigger("reopen", { id, mode: record.mode, files, picture: sent?.path ?? null, region: record.region });
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    tell(words.cannot_open);
  }
}

// What is seen

const note = make("p", "shelf-note", { role: "status" });
const tell = (text) => (note.textContent = text);
const entries = make("ul", "history");
const chooser = make("input", "", { type: "file", "aria-label": words.open, accept: props.accept });
const clear = make("button", "shelf-clear", { type: "button", id: "history-clear", onclick: forgetAll }, words.clear);
root.append(
  make(
    "details", "", { id: "history-box" },
    make("summary", "", {}, words.title),
    entries, note, clear,
    make("div", "", { id: "open-take" }, make("label", "", {}, words.open, chooser)),
  ),
);

async function forgetAll() {
  for (const record of await all()) if (!record.star) await forget(record.id);
  await list();
}

function named(record) {
  const field = make("input", "history-name", { type: "text", maxlength: "80", "aria-label": words.name });
  field.value = record.name || record.title;
  const done = async () => {
    await keep({ ...(await find(record.id)), name: field.value.trim() });
    await list();
  };
  field.addEventListener("keydown", (event) => event.key === "Enter" && field.blur());
  field.addEventListener("blur", done, { once: true });
  return field;
}

function row(record) {
  const title = record.name || record.title;
  const picture = record.thumbnail ? make("img", "", { src: record.thumbnail, alt: "" }) : make("i");
  const label = make("span", "", {}, make("b", "", {}, title), make("small", "", {}, record.detail));
  const open = make(
    "button", "history-restore", { type: "button", onclick: () => attempt(() => reopen(record.id)) }, picture, label,
  );
  const tool = (className, name, sign, act, more = {}) =>
    make("button", className, { type: "button", "aria-label": say(name, { title }), onclick: act, ...more }, sign);
  const star = tool("history-star", words.star, record.star ? "★" : "☆", async () => {
    await keep({ ...(await find(record.id)), star: !record.star });
    await list();
  }, { "aria-pressed": String(record.star) });
  const rename = tool("history-rename", words.rename, "✎", () => {
    const field = named(record);
    open.replaceWith(field);
    field.focus();
    field.select();
  });
  const remove = tool("history-remove", words.remove, "×", async () => {
    await forget(record.id);
    await list();
  });
  return make("li", "", { "data-entry": record.id }, open, star, rename, remove);
}

async function list() {
  const records = await all();
  entries.replaceChildren(...records.map(row));
  clear.hidden = !records.some((record) => !record.star);
  if (!records.length) entries.append(make("li", "history-empty", {}, words.empty));
}
list().catch(() => {}); // it has been said that this browser keeps nothing

element.shelf = {
  // Opens what was on the stage last; says whether there was anything.
  async begin() {
    try {
      const [last] = (await all()).sort((a, b) => b.used - a.used);
      if (last) attempt(() => reopen(last.id));
      return Boolean(last);
    } catch (error) {
      return false;
    }
  },
};
