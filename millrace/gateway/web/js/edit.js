/** The form in a card that changes title, description and who may see the video (API-7). */

import { editVideo } from "./api.js";
import { announce, find, fromTemplate } from "./page.js";

/**
 * @param {HTMLElement} fold
 * @param {import("./card.js").Card} card
 * @returns {import("./card.js").Fold} which does nothing as the video goes on: what is typed stays
 */
export function openEdit(fold, card) {
  const form = /** @type {HTMLFormElement} */ (fromTemplate("edit-template"));
  const title = find(form, "[name=title]", HTMLInputElement);
  const description = find(form, "[name=description]", HTMLTextAreaElement);
  const visibility = find(form, "[name=visibility]", HTMLSelectElement);
  const problem = find(form, ".problem", HTMLElement);
  title.value = card.video.title;
  description.value = card.video.description;
  visibility.value = card.video.visibility;

  find(form, '[data-part="close"]', HTMLButtonElement).addEventListener("click", () =>
    card.toggleFold("edit"),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await editVideo(card.video.videoId, {
        title: title.value.trim(),
        description: description.value.trim(),
        visibility: visibility.value,
      });
      await card.refresh();
      card.toggleFold("edit");
      announce("Saved");
    } catch (reason) {
      problem.textContent = reason instanceof Error ? reason.message : String(reason);
    }
  });
  fold.append(form);
  title.focus();
  return { refresh: () => {}, close: () => {} };
}
