/** The home page: signs in with a token, then wires the upload form to the list of videos. */

import { byId } from "./page.js";
import { Studio } from "./studio.js";
import { describeToken, forgetToken, keepToken, takeTokenFromAddress, token } from "./token.js";
import { setUpUploadForm } from "./upload-form.js";

/** @param {string} [problem] why the token before was no good */
function showSignIn(problem = "") {
  byId("signin", HTMLElement).hidden = false;
  byId("signin-problem", HTMLElement).textContent = problem;
  byId("signin-form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    keepToken(byId("signin-token", HTMLInputElement).value);
    location.reload();
  });
  byId("signin-token", HTMLInputElement).focus();
}

/** @param {string} bearer */
function showVisitor(bearer) {
  byId("who", HTMLElement).hidden = false;
  byId("who-name", HTMLElement).textContent = describeToken(bearer)?.subject ?? "";
  byId("sign-out", HTMLButtonElement).addEventListener("click", () => {
    forgetToken();
    location.reload();
  });
}

async function open() {
  takeTokenFromAddress();
  const bearer = token();
  if (!bearer) {
    showSignIn();
    return;
  }
  showVisitor(bearer);
  byId("studio", HTMLElement).hidden = false;
  const studio = new Studio((problem) => {
    forgetToken();
    byId("studio", HTMLElement).hidden = true;
    byId("who", HTMLElement).hidden = true;
    showSignIn(problem);
  });
  setUpUploadForm((transfer) => void studio.add(transfer));
  await studio.load();
}

await open();
