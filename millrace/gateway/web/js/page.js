/** Finding and making elements, with their types checked; announcing to screen readers. */

/**
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new TypeError(`#${id} is not a ${type.name}`);
  return element;
}

/**
 * @template {Element} T
 * @param {ParentNode} parent
 * @param {string} selector
 * @param {new () => T} type
 * @returns {T}
 */
export function find(parent, selector, type) {
  const element = parent.querySelector(selector);
  if (!(element instanceof type)) throw new TypeError(`${selector} is not a ${type.name}`);
  return element;
}

/**
 * @param {string} templateId
 * @returns {HTMLElement} a copy of the template's only element
 */
export function fromTemplate(templateId) {
  const copy = byId(templateId, HTMLTemplateElement).content.cloneNode(true);
  const element = /** @type {DocumentFragment} */ (copy).firstElementChild;
  if (!(element instanceof HTMLElement)) throw new TypeError(`${templateId} is empty`);
  return element;
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} [text]
 * @param {string} [className]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, text = "", className = "") {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  if (className) element.className = className;
  return element;
}

/**
 * @param {string} text
 * @param {() => void} onClick
 * @param {string} [className]
 * @returns {HTMLButtonElement}
 */
export function makeButton(text, onClick, className = "") {
  const button = make("button", text, className);
  button.type = "button";
  button.addEventListener("click", onClick);
  return button;
}

/**
 * Writes only what changes, so that a screen reader and a focus are left alone.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Says something to screen readers, once.
 * @param {string} text
 */
export function announce(text) {
  byId("announcer", HTMLElement).textContent = text;
}

/**
 * Puts a link into the clipboard. Without https the browser may refuse: then the link is shown.
 * @param {string} link
 * @param {HTMLButtonElement} button says how it went
 */
export async function copyLink(link, button) {
  const words = button.textContent;
  try {
    await navigator.clipboard.writeText(link);
    button.textContent = "Copied";
    announce("Link copied");
  } catch {
    prompt("Copy this link:", link);
  }
  setTimeout(() => {
    button.textContent = words;
  }, 2000);
}
