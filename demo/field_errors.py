"""What is wrong is said at the control where it can be put right, beside the status.

Gradio's own ``validator=`` shows messages in some kinds of fields only, not in sliders, and after a refusal it fires
no event: the status would go on saying that the visitor is waiting.
"""

from __future__ import annotations

CLEAR_FIELDS_JS = """() => {
  document.querySelectorAll('.field-error').forEach((note) => note.remove());
  document.querySelectorAll('.has-error').forEach((field) => field.classList.remove('has-error'));
  document.querySelectorAll('[data-marked]').forEach((input) => {
    ['aria-invalid', 'aria-describedby', 'data-marked'].forEach((name) => input.removeAttribute(name));
  });
}"""
MARK_FIELD_JS = (
    """() => {
  const status = document.querySelector('#status .is-error[data-field]');
  const field = status && document.getElementById(status.dataset.field);
  if (!field) return;
  if (!field.offsetParent) {
    const drawers = [...document.querySelectorAll('#studio button.label-wrap')];
    drawers.find((drawer) => drawer.parentElement.contains(field))?.click();
  }
  const note = document.createElement('p');
  note.className = 'field-error';
  note.id = 'field-error';
  note.textContent = status.querySelector('p').textContent;
  field.classList.add('has-error');
  const button = field.matches('button');
  if (button) field.after(note); else field.append(note);
  const input = button ? field : field.querySelector('textarea, input:not([type=file]), button');
  if (!input) return;
  input.dataset.marked = '';
  input.setAttribute('aria-invalid', 'true');
  input.setAttribute('aria-describedby', 'field-error');
  setTimeout(() => input.focus(), 50); // a drawer needs a moment to open
  field.addEventListener('input', """
    + CLEAR_FIELDS_JS
    + """, {once: true});
}"""
)
