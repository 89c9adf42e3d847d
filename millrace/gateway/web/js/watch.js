/**
 * The watch page: opens the video of the address, waits while it is being made, plays it while it
 * grows, and shows what is known of it.
 */

import {
  ApiProblem,
  publicVideos,
  readCreator,
  readPlayback,
  readVideo,
  readViews,
} from "./api.js";
import { drawCurtain, explainProblem, liftCurtain } from "./curtain.js";
import { formatDate, formatLength, plural } from "./format.js";
import { announce, byId, copyLink, make, setText } from "./page.js";
import { PlaybackSession } from "./playback-session.js";
import { Player } from "./player.js";
import { forgetToken, keepToken, takeTokenFromAddress, token } from "./token.js";

/** @typedef {import("./api.js").Playback} Playback */

const ASK_AGAIN_MS = 2000;
const VIEWS_EVERY_MS = 4000;

const videoId = decodeURIComponent(location.pathname.split("/").pop() ?? "");
const player = new Player();

/**
 * Asks until the video can be played, and says meanwhile where it stands.
 * @returns {Promise<Playback | null>} null where it never will
 */
async function untilPlayable() {
  for (;;) {
    try {
      return await readPlayback(videoId);
    } catch (problem) {
      const isProblem = problem instanceof ApiProblem;
      if (isProblem && problem.status === 401 && token()) {
        // A token that has aged must not keep a visitor from what everybody may watch.
        forgetToken();
        continue;
      }
      if (isProblem) explainProblem(problem, problem.state, token() !== null);
      else drawCurtain("No connection", problem instanceof Error ? problem.message : "");
      if (isProblem && !problem.mayPass) return null;
    }
    await pause(ASK_AGAIN_MS);
  }
}

/** Opens the complete video in place of the growing one, once it is there. */
async function swapWhenComplete() {
  byId("quality", HTMLElement).hidden = false;
  for (;;) {
    await pause(ASK_AGAIN_MS);
    const playback = await readPlayback(videoId).catch(() => null);
    // No answer is no reason to disturb what plays.
    if (playback?.complete) {
      byId("quality", HTMLElement).hidden = true;
      announce("All qualities are there now");
      await player.swap(playback.hlsUrl);
      return;
    }
  }
}

let isRecovering = false;

/** Goes on with a fresh address where there is one, or says why there is none any more. */
async function recover() {
  if (isRecovering) return;
  isRecovering = true;
  await pause(ASK_AGAIN_MS);
  const playback = await untilPlayable();
  if (playback) {
    liftCurtain();
    await player.swap(playback.hlsUrl);
    isRecovering = false;
  } else {
    player.video.pause();
  }
}

async function showAbout() {
  const video = await readVideo(videoId);
  const date = /** @type {HTMLTimeElement} */ (byId("date", HTMLElement));
  document.title = `${video.title} · Millrace`;
  byId("about", HTMLElement).hidden = false;
  byId("video-title", HTMLElement).textContent = video.title;
  date.textContent = formatDate(video.createdAtMs);
  date.dateTime = new Date(video.createdAtMs).toISOString();
  byId("description", HTMLElement).hidden = !video.description;
  byId("description", HTMLElement).textContent = video.description;
  await showCreator(video.creatorId);
}

/** @param {string} creatorId */
async function showCreator(creatorId) {
  const { name, avatarUrl } = await readCreator(creatorId);
  const avatar = byId("avatar", HTMLElement);
  byId("creator-name", HTMLElement).textContent = name || "Unnamed creator";
  avatar.textContent = name.slice(0, 1) || "?";
  if (avatarUrl) {
    const image = make("img");
    image.alt = "";
    image.src = avatarUrl;
    avatar.replaceChildren(image);
  }
}

/** The count, as it is counted: a view shows up here seconds after it became one. */
async function showViews() {
  if (document.visibilityState === "visible") {
    const { counted } = await readViews(videoId);
    setText(byId("views", HTMLElement), plural(counted, "view"));
  }
}

async function showMore() {
  const { items } = await publicVideos();
  const others = items.filter((item) => item.videoId !== videoId).slice(0, 8);
  const list = byId("more-list", HTMLUListElement);
  for (const item of others) {
    const link = make("a");
    const thumb = make("span", "", "thumb");
    const length = item.durationMs ? formatLength(item.durationMs) : "";
    if (item.posterUrl) {
      const image = make("img");
      image.alt = "";
      image.loading = "lazy";
      image.src = item.posterUrl;
      thumb.append(image);
    }
    thumb.append(make("span", length, "length"));
    link.href = `/watch/${item.videoId}`;
    link.append(thumb, item.title);
    const row = make("li");
    row.append(link);
    list.append(row);
  }
  byId("more", HTMLElement).hidden = !others.length;
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * What is beside the video may fail without taking the video along.
 * @param {Promise<unknown>} aside
 */
function beside(aside) {
  aside.catch((problem) => console.warn("beside the video:", problem.message));
}

async function open() {
  takeTokenFromAddress();
  byId("curtain-token", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    keepToken(byId("curtain-token-input", HTMLInputElement).value);
    location.reload();
  });
  const copy = byId("copy-link", HTMLButtonElement);
  copy.addEventListener("click", () => void copyLink(location.href, copy));
  beside(showAbout());
  beside(showMore());

  const playback = await untilPlayable();
  if (!playback) return;
  new PlaybackSession(videoId, player.video);
  player.open(playback.hlsUrl, playback.posterUrl, () => beside(recover()));
  liftCurtain();
  beside(showAbout());
  beside(showViews());
  setInterval(() => beside(showViews()), VIEWS_EVERY_MS);
  await player.play();
  if (!playback.complete) await swapWhenComplete();
}

await open();
