// The dashboard in a real Chromium: every view, light and dark; nothing in the store runs as a script, nothing is asked for
// elsewhere, nothing lands in the console; it can be used by keyboard and read aloud.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { chromium } from "playwright-core";

const { SITE, OPEN, PASSWORD, CHROMIUM, LARDER_SCREENSHOTS: shots } = process.env;
const evil = `<img src=x onerror="pwned()"><script>pwned()</script>`;
let browser;

before(async () => { browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] }); });
after(async () => { await browser?.close(); });

/** open makes a page that fails the test by whatever must not happen. */
async function open(url, { scheme = "light", viewport = { width: 1280, height: 860 } } = {}) {
  const context = await browser.newContext({ colorScheme: scheme, viewport, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const bad = [];
  await page.exposeFunction("pwned", () => { bad.push("a script from the store ran"); });
  page.on("console", (m) => { if (m.type() === "error" || m.type() === "warning") bad.push("console: " + m.text()); });
  page.on("pageerror", (e) => bad.push("error: " + e.message));
  page.on("request", (r) => { if (!r.url().startsWith(url + "/")) bad.push("asked elsewhere: " + r.url()); });
  page.on("dialog", (d) => { bad.push("dialog: " + d.message()); d.dismiss(); });
  await page.addInitScript(() => { addEventListener("securitypolicyviolation", (e) => console.error("CSP: " + e.violatedDirective + " " + e.blockedURI)); });
  return { page, bad, close: async () => { await context.close(); assert.deepEqual(bad, []); } };
}

async function logIn(t) {
  await t.page.goto(SITE + "/");
  await t.page.getByLabel("Password").fill(PASSWORD);
  await t.page.getByRole("button", { name: "Log in" }).click();
  await t.page.locator("nav.side").waitFor();
}

/** shot keeps a picture if pictures are wanted. */
async function shot(page, name) {
  if (shots) await page.screenshot({ path: path.join(shots, name + ".png") });
}

const views = [
  ["overview", "Overview", ".chart canvas"], ["namespaces", "Namespaces", ".panel"], ["commands", "Commands", "tbody tr"], ["slow", "Slow log", ".panel"],
  ["info", "INFO", "tbody tr"], ["keys", "Keys", "tbody tr"], ["caches", "Caches", "tbody tr"], ["limits", "Limits", "tbody tr"], ["queues", "Queues", "tbody tr"],
  ["sessions", "Sessions by user", "tbody tr"], ["boards", "Leaderboards", "tbody tr"], ["locks", "Locks", "tbody tr"],
];

/** settled waits until the view of a place is there. */
async function go(page, hash, ready) {
  await page.evaluate((h) => { location.hash = h; }, "#/" + hash);
  await page.locator("#main " + ready).first().waitFor();
}

for (const scheme of ["light", "dark"]) {
  describe("in " + scheme, () => {
    it("shows every view", async () => {
      const t = await open(SITE, { scheme });
      await logIn(t);
      for (const [place, title, ready] of views) {
        await go(t.page, place, ready);
        await t.page.getByRole("heading", { name: title, exact: true }).waitFor();
        assert.equal(await t.page.locator("nav.side a[aria-current]").count(), 1, place);
        if (place === "overview") await drawn(t.page).finally(() => shot(t.page, place + "-" + scheme));
        await accessible(t.page, place + " in " + scheme);
        await shot(t.page, place + "-" + scheme);
      }
      await t.close();
    });

    it("shows a value of each type", async () => {
      const t = await open(SITE, { scheme });
      await logIn(t);
      for (const [key, ready, wants] of [
        ["greeting", "pre.value", "hello, world"], ["config:flags", "pre.value .k", "12345678901234567890"], ["user:1001", "tbody tr", "ann@example.com"], ["recent:views", "tbody tr", "gadget"],
        ["tags:7", "tbody tr", "small"], ["prices", "tbody tr", "9.99"], ["orders", "tbody tr", "billing"], ["stock", "tbody tr", "product:"], [evil, "pre.value", evil],
      ]) {
        await go(t.page, "key/" + Buffer.from(key).toString("base64url"), ready);
        await t.page.locator("#main").getByText(wants).first().waitFor();
        await accessible(t.page, key + " in " + scheme);
        await shot(t.page, "key-" + key.replace(/\W/g, "").slice(0, 12) + "-" + scheme);
      }
      await t.close();
    });
  });
}

/** drawn checks that each chart has ink of its series, not only axes: pixels of some colour that is no grey. */
async function drawn(page) {
  await page.waitForFunction(() => {
    const done = [...document.querySelectorAll(".chart canvas")].map((c) => {
      const px = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
      let n = 0;
      for (let i = 0; i < px.length; i += 4) {
        const hi = Math.max(px[i], px[i + 1], px[i + 2]), lo = Math.min(px[i], px[i + 1], px[i + 2]);
        if (px[i + 3] > 100 && hi - lo > 60) n++;
      }
      return n > 10;
    });
    return done.length === 8 && done.every(Boolean);
  }, null, { timeout: 30_000 });
}

/** accessible is what a checker would look at first: names, labels, landmarks, contrast. */
async function accessible(page, where) {
  const problems = await page.evaluate(() => {
    const out = [];
    const seen = (e) => e.checkVisibility() && e.getClientRects().length > 0;
    const name = (e) => (e.getAttribute("aria-label") || (e.labels && [...e.labels].map((l) => l.textContent).join(" ")) || e.textContent || e.getAttribute("title") || "").trim();
    if (!document.title) out.push("no title");
    if (!document.documentElement.lang) out.push("no language");
    for (const tag of ["main", "h1"]) if (document.querySelectorAll(tag).length !== 1) out.push(`${document.querySelectorAll(tag).length} ${tag}`);
    const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
    if (new Set(ids).size !== ids.length) out.push("ids that come twice");
    for (const e of document.querySelectorAll("a[href], button, input, select")) if (seen(e) && !name(e)) out.push("no name: " + e.outerHTML.slice(0, 120));
    for (const e of document.querySelectorAll("img")) if (!e.hasAttribute("alt")) out.push("no alt");
    for (const e of document.querySelectorAll("[role=img]")) if (!e.getAttribute("aria-label")) out.push("an image without a name");
    for (const e of document.querySelectorAll("th")) if (!e.textContent.trim() && !e.querySelector("[aria-label]")) out.push("an empty heading of a column");
    // Contrast of text with what is behind it, by WCAG 2: 4.5 to 1, for large text 3.
    const rgb = (c) => { const m = c.match(/[\d.]+/g).map(Number); return m.length === 3 ? [...m, 1] : m; };
    const light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] > 0.99) return c; } return [255, 255, 255, 1]; };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const reported = new Set();
    for (let n; (n = walker.nextNode());) {
      const e = n.parentElement;
      if (!n.data.trim() || !seen(e) || e.closest("[hidden], noscript, canvas, .skip, button:disabled")) continue;
      const s = getComputedStyle(e);
      if (s.opacity === "0" || e.closest("kbd")) continue;
      const a = light(rgb(s.color)), b = light(behind(e));
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), large = parseFloat(s.fontSize) >= 24 || parseFloat(s.fontSize) >= 18.66 && s.fontWeight >= 700;
      if (contrast < (large ? 3 : 4.5)) reported.add(`contrast ${contrast.toFixed(2)} of .${e.className} in .${e.parentElement.className}: ${n.data.slice(0, 30)}`);
    }
    return [...out, ...reported];
  });
  assert.deepEqual(problems, [], where);
}

it("lets nobody in without the password", async () => {
  const t = await open(SITE);
  await t.page.goto(SITE + "/#/keys");
  await t.page.getByLabel("Password").fill("wrong");
  await t.page.keyboard.press("Enter");
  await t.page.getByText("that is not the password").waitFor();
  assert.match(t.bad.splice(0).join(), /^console: Failed to load resource: the server responded with a status of 401/);
  await accessible(t.page, "log-in");
  assert.equal(await t.page.locator("nav.side").count(), 0);
  await t.page.getByLabel("Password").fill(PASSWORD);
  await t.page.keyboard.press("Enter");
  await t.page.locator("#main tbody tr").first().waitFor();
  assert.equal(await t.page.evaluate(() => document.cookie), "", "the cookie is none of scripts' business");
  await t.page.getByRole("button", { name: "Log out" }).click();
  await t.page.getByLabel("Password").waitFor();
  await t.page.reload();
  await t.page.getByLabel("Password").waitFor();
  await t.close();
});

it("is used by keyboard alone", async () => {
  const t = await open(OPEN);
  const { page } = t;
  await page.goto(OPEN + "/");
  await page.locator(".chart canvas").first().waitFor();
  for (const [letter, title] of [["n", "Namespaces"], ["c", "Commands"], ["s", "Slow log"], ["k", "Keys"], ["a", "Caches"], ["l", "Limits"], ["q", "Queues"], ["u", "Sessions by user"], ["b", "Leaderboards"], ["x", "Locks"], ["o", "Overview"]]) {
    await page.keyboard.press("g");
    await page.keyboard.press(letter);
    await page.getByRole("heading", { name: title, exact: true }).waitFor();
  }
  await page.keyboard.press("/");
  await page.getByRole("heading", { name: "Keys", exact: true }).waitFor();
  await page.locator("#main tbody tr").first().waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("greet");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelectorAll("#main tbody tr").length === 1);
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "greeting");
  await page.keyboard.press("Enter");
  await page.getByText("hello, world").waitFor();
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  await accessible(page, "help");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  const before = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.keyboard.press("t");
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), before);
  await page.reload();
  await page.locator("#main pre.value").waitFor();
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), before, "the theme is remembered");
  await t.close();
});

it("changes nothing unless it may, and asks first where it may", async () => {
  const t = await open(OPEN);
  await t.page.goto(OPEN + "/#/key/" + Buffer.from("greeting").toString("base64url"));
  await t.page.getByText("hello, world").waitFor();
  assert.equal(await t.page.getByRole("button", { name: "Delete" }).count(), 0);
  assert.equal(await t.page.evaluate(async () => (await fetch("api/key/delete", { method: "POST", headers: { "Content-Type": "application/json", "X-Larder-Token": (await (await fetch("api/me")).json()).token }, body: `{"key":"Z3JlZXRpbmc"}` })).status), 403);
  t.bad.splice(0); // Chromium tells the console of the 403
  await t.close();

  const w = await open(SITE);
  await logIn(w);
  await go(w.page, "queues", "tbody tr");
  await w.page.getByRole("link", { name: "emails" }).click();
  await w.page.getByRole("button", { name: "Replay all" }).first().waitFor();
  await shot(w.page, "queue-light");
  await accessible(w.page, "dead letters");
  const dead = await w.page.locator("#main tbody tr").count();
  assert.ok(dead > 3, `${dead} dead letters`);
  await w.page.getByRole("button", { name: "Replay", exact: true }).first().click();
  await w.page.getByRole("button", { name: "Cancel" }).click();
  await w.page.getByRole("button", { name: "Replay", exact: true }).first().click();
  await accessible(w.page, "question");
  await w.page.getByRole("dialog").getByRole("button", { name: "Replay" }).click();
  await w.page.getByText("1 ready again.").waitFor();
  await w.page.waitForFunction((n) => document.querySelectorAll("#main tbody tr").length === n - 1, dead);
  await w.page.getByRole("button", { name: "Replay all" }).first().click();
  await w.page.getByRole("dialog").getByRole("button", { name: "Replay all" }).click();
  await w.page.getByText("No job is in this state.").waitFor();
  await w.page.getByRole("button", { name: "Pause" }).click();
  await w.page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
  await w.page.getByText("This queue is paused").waitFor();

  await go(w.page, "sessions", "tbody tr");
  await w.page.getByRole("link", { name: "ann", exact: true }).click();
  await w.page.getByRole("button", { name: "Log out everywhere" }).click();
  await w.page.getByRole("dialog").getByRole("button", { name: "Log out everywhere" }).click();
  await w.page.getByText("This user has no session.").waitFor();

  await go(w.page, "key/" + Buffer.from("tags:7").toString("base64url"), "tbody tr");
  await w.page.getByRole("button", { name: "Set TTL" }).click();
  await w.page.getByLabel("Seconds from now").fill("5000");
  await w.page.getByRole("button", { name: "Set", exact: true }).click();
  await w.page.getByText("1 h 23 min").waitFor();
  await w.page.getByRole("button", { name: "Delete" }).click();
  await w.page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await w.page.getByText("Deleted.").waitFor();
  await w.close();
});

it("shows big values in pieces", async () => {
  const t = await open(OPEN);
  const { page } = t;
  await page.goto(OPEN + "/#/key/" + Buffer.from("big:text").toString("base64url"));
  await page.getByText("bytes 0 to 65,536 of 320,000").waitFor();
  await page.getByRole("button", { name: "Next 64 KB" }).click();
  await page.getByText("bytes 65,536 to 131,072 of 320,000").waitFor();
  await page.getByRole("button", { name: "Hex" }).click();
  await page.getByText("00010000  30 31 32 33").waitFor();
  await page.evaluate((h) => { location.hash = h; }, "#/key/" + Buffer.from("stock").toString("base64url"));
  await page.getByText(/^1\d\d of 1,200 shown|^100 of 1,200 shown/).waitFor();
  await page.getByRole("button", { name: "More" }).click();
  await page.getByText(/^2\d\d of 1,200 shown/).waitFor();
  await page.evaluate((h) => { location.hash = h; }, "#/key/" + Buffer.from([...Buffer.from("binary:"), 0, 0xff, 0xfe]).toString("base64url"));
  await page.locator("pre.hex").getByText("00 01 02 ff fe 61 62 0a").waitFor();
  await page.getByRole("heading", { name: "binary:\\x00\\xff\\xfe" }).waitFor();
  await t.close();
});

it("keeps the focus where it is while a view draws itself anew", async () => {
  const t = await open(OPEN);
  await t.page.goto(OPEN + "/#/commands");
  await t.page.locator("#main tbody tr").first().waitFor();
  const heading = t.page.getByRole("button", { name: "p99", exact: true });
  await heading.focus();
  const old = await heading.elementHandle();
  await t.page.waitForFunction((e) => !e.isConnected, old);
  await t.page.waitForFunction(() => document.activeElement.textContent === "p99");
  await t.close();
});

it("opens a key without a name", async () => {
  const t = await open(OPEN);
  await t.page.goto(OPEN + "/#/key/");
  await t.page.getByText("a value without a name").waitFor();
  await t.close();
});

it("shows what would deceive the eye", async () => {
  const t = await open(OPEN);
  await t.page.goto(OPEN + "/#/keys?match=spoof*");
  await t.page.getByRole("link", { name: "spoof:\\u202egpj.exe\\u200b" }).click();
  await t.page.getByText("right to left\\u202e and a\\u2028line").waitFor();
  await t.close();
});

it("fits a phone", async () => {
  const t = await open(OPEN, { viewport: { width: 390, height: 780 } });
  await t.page.goto(OPEN + "/");
  await t.page.locator(".chart canvas").first().waitFor();
  for (const [place, , ready] of views) {
    await go(t.page, place, ready);
    assert.ok(await t.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), place + " is wider than the screen");
  }
  await go(t.page, "overview", ".chart canvas");
  await shot(t.page, "phone");
  await t.close();
});

it("is light and quick", async () => {
  const t = await open(OPEN);
  await t.page.goto(OPEN + "/");
  await t.page.locator(".chart canvas").first().waitFor();
  const size = await t.page.evaluate(() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter((e) => !e.name.includes("/api/")).reduce((n, e) => n + e.decodedBodySize, 0));
  const paint = await t.page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  console.log(`# ${size} bytes of page, first paint after ${Math.round(paint)} ms`);
  assert.ok(size > 10_000 && size < 150_000, `${size} bytes`);
  await t.close();
});

if (shots) fs.mkdirSync(shots, { recursive: true });

describe("lists that take long", () => {
  /** pages answers api/keys with one key per page, and each page a little late. */
  async function pages(t, most) {
    await t.page.route("**/api/keys*", async (route) => {
      const at = Number(new URL(route.request().url()).searchParams.get("cursor"));
      await new Promise((done) => setTimeout(done, 15));
      await route.fulfill({ json: { keys: [{ key: "key " + at, type: "string", ttl: -1, bytes: 1 }], cursor: at + 1 < most ? String(at + 1) : "0", scanned: 1000, total: 1000 * most } }).catch(() => {});
    });
  }
  const rows = (t) => t.page.locator("#main tbody td:first-child").allTextContents();

  it("shows each key once when a list is begun anew before it has ended", async () => {
    const t = await open(SITE);
    await logIn(t);
    await pages(t, 40);
    await go(t.page, "keys?match=x", "tbody tr");
    for (let i = 0; i < 4; i++) await t.page.keyboard.press("r");
    await t.page.getByText("40 found of").waitFor();
    const all = await rows(t);
    assert.equal(new Set(all).size, 40);
    assert.equal(all.length, 40);
    await t.close();
  });

  it("keeps what was loaded when the page is seen again", async () => {
    const t = await open(SITE);
    await logIn(t);
    await pages(t, 250);
    await go(t.page, "keys?match=y", "tbody tr");
    await t.page.getByRole("button", { name: "More" }).click({ timeout: 30_000 });
    await t.page.getByText("200 found so far").waitFor({ timeout: 30_000 });
    let asked = 0;
    t.page.on("request", (r) => { if (r.url().includes("/api/keys")) asked++; });
    await t.page.getByRole("button", { name: "More", disabled: false }).waitFor();
    await t.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await t.page.evaluate(() => new Promise(requestAnimationFrame));
    assert.equal((await rows(t)).length, 200);
    assert.equal(asked, 0);
    await t.close();
  });
});

it("fits a phone: the view that is open is in sight in the list of views, and names have room", async () => {
  const t = await open(SITE, { viewport: { width: 390, height: 844 } });
  await logIn(t);
  for (const place of ["keys", "locks", "overview"]) {
    await go(t.page, place, place === "overview" ? ".chart canvas" : "tbody tr");
    const at = await t.page.locator("nav.side a[aria-current]").boundingBox();
    assert.ok(at.x >= 0 && at.x + at.width < 392, place + " " + JSON.stringify(at));
    if (place !== "overview") assert.ok((await t.page.locator("#main tbody td.key").first().boundingBox()).width >= 120, place);
  }
  await t.close();
});

it("writes out what would cover other rows or is not seen", async () => {
  const t = await open(SITE);
  await logIn(t);
  const texts = await t.page.evaluate(async () => {
    const { plain, shown, globbed } = await import("./lib.js");
    const all = ["a" + "\u0301".repeat(5) + "b", "x\u{e0041}\u3164\u202ey", "caf\u00e9 \u0e01\u0e49"];
    return [...all.map(plain), ...all.map((s) => shown(s).map((n) => (typeof n === "string" ? n : n.textContent)).join("")), globbed("a*[b\u0000"), globbed({ b64: btoa("a*\xff") })];
  });
  const want = ["a\u0301\u0301\\u0301\\u0301\\u0301b", "x\\u{e0041}\\u3164\\u202ey", "caf\u00e9 \u0e01\u0e49"];
  assert.deepEqual(texts, [...want, ...want, "a\\*\\[b?", "a\\*?"]);
  await t.close();
});

it("leads up from a key to the list it came from, and says when nobody answers", async () => {
  const t = await open(SITE);
  await logIn(t);
  await go(t.page, "keys?match=user%3A*&type=", "tbody tr");
  await t.page.keyboard.press("j");
  await t.page.keyboard.press("Enter");
  await t.page.locator("#main .facts").waitFor();
  await t.page.keyboard.press("Escape");
  await t.page.waitForURL((url) => url.hash === "#/keys?match=user%3A*&type=");
  await t.page.route("**/api/*", (route) => route.abort());
  await go(t.page, "commands", ".note.bad");
  assert.equal(await t.page.locator(".note.bad").textContent(), "The server of this dashboard does not answer.");
  await t.page.locator(".dot.down").waitFor();
  t.bad.splice(0, t.bad.length, ...t.bad.filter((b) => !b.includes("net::ERR_FAILED")));
  await t.close();
});
