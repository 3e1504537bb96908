// Blind listening: letters are dealt anew, both takes are heard, a vote is cast, then the takes are named.
function voting() {
  const s = session;
  const panel = make("div", "pl-vote", {}, make("h3", "", {}, words.vote_title), make("p", "pl-gate"));
  const bars = make("div", "pl-bars");
  s.letters.forEach((letter) =>
    bars.append(make("div", "pl-heard", { role: "img", "aria-label": say(words.heard, { letter }) }, letter)));
  const comment = make("textarea", "pl-comment", { rows: "2", maxlength: "1000", placeholder: words.comment_hint });
  const choices = make("div", "pl-choices", { role: "group", "aria-label": words.vote_title });
  for (const choice of ["A", "B", "tie", "both bad"]) {
    const act = { type: "button", "data-choice": choice, onclick: () => vote(choice, comment.value) };
    choices.append(make("button", "", act, words.choices[choice]));
  }
  panel.append(bars, make("label", "", {}, words.comment, comment), choices);
  return panel;
}

async function vote(choice, comment) {
  const s = session;
  account();
  if (!canVote(s) || s.voting || s.voted) return;
  s.voting = true;
  draw();
  let answer;
  try {
    answer = await server.cast_vote({
      trial: s.id, choice, comment, order: s.order, switches: s.switches, known_before: s.knownBefore,
      listened_s: s.order.map((take) => Number(s.listened[take].toFixed(2))),
    });
  } catch (error) {
    answer = { error: words.vote_failed };
  }
  s.voting = false;
  if (answer.error) {
    if (s === session) {
      tell(answer.error);
      draw();
    }
    return;
  }
  s.voted = { text: told(s, choice) };
  inOrder(s);
  if (s === session) build();
}

// The letters are those of the downloads again, so what is said here names each take by both of its letters.
function told(s, choice) {
  const named = ["A", "B"].map((letter, index) => {
    const take = s.takes[s.order[index]];
    return say(words.was, { letter, title: take.title, now: take.letter });
  });
  return [say(words.chose, { choice: words.choices[choice] }), ...named, words.revealed].join(" ");
}

function inOrder(s) {
  const heard = s.order[s.current];
  s.order = s.takes.map((_, index) => index);
  s.current = heard;
}

function setBlind(wanted) {
  const s = session;
  blindWanted = wanted;
  if (wanted) {
    // Going on with the take that was audible would tell which it is.
    pause();
    s.offset = 0;
    s.current = 0;
    s.order = shuffled(s.order);
    if (s.listened.some((seconds) => seconds > 0)) s.knownBefore = true;
    s.listened = s.takes.map(() => 0);
  } else {
    s.knownBefore = true;
    inOrder(s);
  }
  s.blind = wanted;
  build();
  root.querySelector(".pl-blind input").focus();
}
