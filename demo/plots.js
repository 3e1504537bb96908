// What the takes look like: one or more faces, such as notes and sound, each with a plot per take and what differs.
let faceWanted = null;

function axis(figure) {
  const seconds = session.seconds, step = [1, 2, 5, 10, 20, 30, 60].find((width) => seconds / width <= 9) ?? 120;
  const line = make("div", "pl-axis", { "aria-hidden": "true" });
  for (let second = 0; second < seconds; second += step) {
    line.append(make("span", "", { style: `left:${(100 * second) / seconds}%` }, `${second}`));
  }
  line.append(make("b", "", {}, "s"));
  figure.append(line);
}

function plot(face, drawn, take, index) {
  const marks = make("div", "mel-hz", { "aria-hidden": "true" }, make("b", "", {}, face.unit));
  for (const [label, bottom] of face.marks) marks.append(make("span", "", { style: `bottom:${bottom}` }, label));
  const picture = make("div", "pl-picture", {}, make("img", "", { src: drawn.src, alt: drawn.alt, draggable: "false" }));
  const figure = make("figure", `pl-mel mel is-${face.name}`, {}, marks, picture);
  if (index !== null) figure.dataset.index = index;
  figure.prepend(make("figcaption", "", {}, ...(take.letter ? [make("b", "", {}, take.letter), " "] : []), inTongue(take.title)));
  picture.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect();
    if (index !== null) choose(index);
    seek(((event.clientX - box.left) / box.width) * session.seconds);
  });
  axis(figure);
  return figure;
}

function legend(html) {
  const holder = make("div", "legend-holder");
  holder.innerHTML = html; // made by the studio itself, from numbers and its own names alone
  return holder;
}

function difference(face) {
  const { title, spans } = face.difference, little = inTongue(face.difference.little);
  const details = make("details", "pl-difference", { open: true }, make("summary", "", {}, words.difference));
  const figure = plot(face, face.difference, { title, letter: "" }, null);
  const length = spans.reduce((sum, [from, to]) => sum + to - from, 0);
  for (const [from, to] of spans) {
    const place = `left:${(100 * from) / session.seconds}%;width:${(100 * (to - from)) / session.seconds}%`;
    const label = to - from > session.seconds / 6 ? [make("span", "", {}, little)] : [];
    figure.querySelector(".pl-picture").append(make("i", "pl-little", { style: place, title: little }, ...label));
  }
  details.append(figure, legend(face.difference.legend));
  if (length > 0.9 * session.seconds) details.append(make("p", "pl-alike", {}, words.alike));
  return details;
}

function faces(takes) {
  const s = session, known = s.faces.map((face) => face.name);
  const face = s.faces[Math.max(0, known.indexOf(faceWanted))];
  const parts = [];
  if (s.faces.length > 1) {
    const choice = make("div", "pl-faces", { role: "group", "aria-label": words.look });
    for (const { name, label } of s.faces) {
      const wanted = { type: "button", "aria-pressed": String(name === face.name), "data-face": name };
      choice.append(make("button", "", { ...wanted, onclick: () => (faceWanted = name, build()) }, inTongue(label)));
    }
    parts.push(choice);
  }
  const stage = make("div", "pl-stage");
  takes.forEach((take, index) => {
    const letter = s.letters[index];
    stage.append(plot(face, face.plots[s.order[index]], { title: take.title, letter }, index));
  });
  parts.push(stage, legend(face.legend));
  if (face.difference && s.order[0] === 0) parts.push(difference(face));
  return parts;
}
