// A view for each pattern that lies in the store.
import { el, fill, get, post, panel, table, facts, bar, shown, plain, globbed, param, unparam, blobOf, count, bytes, whole, percent, span, moment, ttl, act, isEmpty, me, dash } from "./lib.js";
import { keyLink, progress, pretty } from "./keys.js";
import { stack } from "./overview.js";

const color = (n) => getComputedStyle(document.documentElement).getPropertyValue(n).trim();

/** counters are what this program's own instances of a pattern count, if it told the dashboard. */
async function counters(view, pattern, title) {
  const rows = await get("counters", { pattern }, view.signal).catch(() => []);
  if (!rows.length) return null;
  const names = Object.keys(rows[0].values).filter((n) => rows.some((r) => r.values[n]));
  return panel(title, table([
    { name: "Name", key: true, cell: (r) => shown(r.name) },
    ...names.map((n) => ({ name: n.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase(), num: true, cell: (r) => count(r.values[n]), by: (r) => r.values[n] })),
  ], rows, { label: title }), el("div", { class: "foot" }, "Counted by this process since it began."));
}

/**
 * sweep walks through the keyspace by pages of an API until all of it was seen or enough was found, and draws after each.
 * It begins anew on refresh, and by itself every few seconds where all of it is one page.
 */
function sweep(view, { path, list, match, draw, params = {}, most = 2000 }) {
  let running = 0;
  const once = async () => {
    const mine = ++running;
    let cursor = "0", scanned = 0, pages = 0;
    const all = [];
    do {
      const page = await get(path, { ...params, match: match(), cursor }, view.signal);
      if (mine !== running) return;
      all.push(...page[list]);
      cursor = page.cursor; scanned += page.scanned; pages++;
      const busy = cursor !== "0" && all.length < most;
      draw(all, progress(all.length, scanned, page.total, cursor, busy));
      if (!busy) break;
    } while (true);
    return pages === 1;
  };
  view.onrefresh(once);
  return view.every(5000, async () => { if (await once() === false) view.stop(); });
}

const foot = (text) => el("div", { class: "foot" }, text);
const nothing = (what) => `No ${what} found. If yours have another prefix, say so above: myprefix*`;

// ---- Caches

export async function caches(view) {
  const state = { column: 1, up: false }, body = el("div"), own = el("div");
  view.head("Caches");
  fill(view.root, own, body);
  fill(own, await counters(view, "cache", "This process"));
  const sums = new Map();
  const steps = ["up to a minute", "up to an hour", "up to a day", "up to a week", "longer", "no TTL"], colors = ["--c5", "--c1", "--c6", "--c2", "--c3", "--c4"].map(color);
  let all = [], text = "";
  const show = () => fill(body, panel("In the store", table([
    { name: "Prefix", key: true, cell: (r) => el("a", { href: "#/keys?match=" + encodeURIComponent(globbed(r.prefix) + "*") }, shown(r.prefix)), by: (r) => plain(r.prefix) },
    ...[["Entries", "entries", count], ["Memory of values", "bytes", bytes], ["Being loaded", "loading", count], ["Absent", "absent", count], ["Stale", "stale", count], ["Tagged", "tagged", count], ["Not entries", "foreign", count]].map(([name, f, format]) => (
      { name, num: true, cell: (r) => format(sums.get(plain(r.prefix))?.[f]), by: (r) => sums.get(plain(r.prefix))?.[f] })),
    { name: "TTLs", cell: (r) => { const s = sums.get(plain(r.prefix)); return s ? stack(s.ttl.map((n, i) => [steps[i], n, colors[i]])) : dash; } },
  ], all, { state, label: "Caches", empty: "No cache found: one shows once it has stored an entry." }), foot(text)));
  const cache = async (r) => {
    let cursor = "0", sum = null;
    do {
      const page = await get("caches", { prefix: param(r.prefix), cursor }, view.signal);
      cursor = page.cursor;
      if (!sum) sum = page.cache;
      else for (const [k, v] of Object.entries(page.cache)) { if (typeof v === "number") sum[k] += v; else if (k === "ttl") v.forEach((n, i) => { sum.ttl[i] += n; }); }
    } while (cursor !== "0" && sum.entries < 200000);
    sums.set(plain(r.prefix), sum);
    show();
  };
  let counted = 0;
  await sweep(view, { path: "caches", list: "caches", match: () => "", draw: (rows, t) => { all = rows; text = t; show(); } });
  const refresh = async () => { const mine = ++counted; for (const r of [...all]) { if (mine === counted) await cache(r); } };
  await refresh();
  view.onrefresh(refresh);
}

// ---- Limits

export async function limits(view) {
  const state = { column: 2, up: false }, body = el("div"), own = el("div");
  const limit = el("input", { type: "number", min: "1", placeholder: "limit", "aria-label": "Limit: ids that used as much are marked", style: { width: "7em" }, onchange: () => view.refresh() });
  view.head("Limits", view.search("Keys, such as rl:log:login:*", "", () => view.refresh(), "rl:*"), limit);
  fill(view.root, own, body);
  fill(own, await counters(view, "ratelimit", "This process"));
  const used = (r) => (r.standing ? r.standing.limit - r.standing.remaining : r.minute !== undefined && r.used === 0 ? 0 : r.used);
  const most = (r) => r.standing?.limit ?? (Number(limit.value) || undefined);
  const held = (r) => r.blocked || (most(r) !== undefined && used(r) >= most(r));
  await sweep(view, {
    path: "limits", list: "limits", match: () => view.pattern(), draw: (rows, text) => {
      const n = rows.filter(held).length;
      fill(body, panel("", table([
        { name: "Who", key: true, cell: (r) => keyLink(r.key), by: (r) => plain(r.key) },
        { name: "State", cell: (r) => (r.blocked ? el("span", { class: "tag bad" }, "blocked") : held(r) ? el("span", { class: "tag bad" }, "limited") : most(r) ? el("span", { class: "tag ok" }, "passes") : el("span", { class: "tag" }, "in use")), by: (r) => (r.blocked ? 2 : held(r) ? 1 : 0) },
        { name: "Used", num: true, cell: (r) => [whole(used(r)), most(r) !== undefined && [" of " + whole(most(r)), bar(used(r) / most(r), held(r))]], by: (r) => used(r) / (most(r) ?? 1e9) },
        { name: "Last minute", num: true, cell: (r) => whole(r.minute), by: (r) => r.minute },
        { name: "Passes in", num: true, cell: (r) => (r.blocked ? moment(r.blocked) : r.standing?.retry ? span(r.standing.retry) : dash), by: (r) => r.blocked || r.standing?.retry },
        { name: "Last passed", cell: (r) => moment(r.last), by: (r) => r.last },
        { name: "Algorithm", cell: (r) => ({ log: "sliding log", bucket: "token bucket", gcra: "GCRA", window: "fixed window", counter: "sliding counter", leases: "concurrency" })[r.kind] || dash, by: (r) => r.kind },
        { name: "Forgotten in", num: true, cell: (r) => ttl(r.ttl), by: (r) => r.ttl },
      ], rows, { state, label: "Limits", empty: nothing("limits") }),
      foot([text, n ? `, ${whole(n)} being limited` : "", rows.length && !rows.some((r) => r.standing) ? ". The store does not know the limits themselves: enter one above to mark who has reached it." : ""])));
    },
  });
}

// ---- Queues

const states = [["ready", "Ready"], ["delayed", "Delayed"], ["active", "Active"], ["parked", "Parked"], ["dead", "Dead letters"], ["done", "Done"]];
const queuePath = (q, state) => `#/queue/${param(q.prefix) || "-"}/${param(q.name)}/${state}`;
const names = { prefix: (q) => plain(q.prefix) + "{" + plain(q.name) + "}" };

export async function queues(view) {
  const state = { column: 0, up: true }, body = el("div"), own = el("div");
  view.head("Queues", view.search("Keys, such as jobs:*:meta", "", () => view.refresh(), "*{*}:meta"));
  fill(view.root, own, body);
  fill(own, await counters(view, "queue", "This process"));
  await sweep(view, {
    path: "queues", list: "queues", match: () => view.pattern(), draw: (rows, text) => fill(body, panel("", table([
      { name: "Queue", key: true, cell: (q) => [el("a", { href: queuePath(q, q.depth.dead ? "dead" : "ready") }, shown(q.name)), " ", q.paused ? el("span", { class: "tag warn" }, "paused") : ""], by: (q) => plain(q.name) },
      ...states.slice(0, 5).map(([s, name]) => ({ name, num: true, cell: (q) => el("span", { class: s === "dead" && q.depth[s] ? "bad" : "" }, count(q.depth[s])), by: (q) => q.depth[s] })),
      { name: "Processes", num: true, cell: (q) => count(q.workers), by: (q) => q.workers },
      { name: "Done in all", num: true, cell: (q) => count(q.totals.done), by: (q) => q.totals.done },
      { name: "Failed attempts", num: true, cell: (q) => [count(q.totals.failed), q.totals.done ? el("span", { class: "soft" }, " " + percent(q.totals.failed / (q.totals.failed + q.totals.done))) : ""], by: (q) => q.totals.failed },
      { name: "Leases lost", num: true, cell: (q) => count(q.totals.lost), by: (q) => q.totals.lost },
    ], rows, { state, label: "Queues", empty: nothing("queues") }), foot(text))),
  });
}

export async function queue(view) {
  const prefix = view.args[0] === "-" ? "" : view.args[0], name = view.args[1], chosen = view.args[2] || "ready";
  const title = blobOf(unparam(name));
  const top = el("div"), body = el("div"), tabs = el("div", { class: "seg", role: "group", "aria-label": "State" }), buttons = el("span");
  view.head(el("span", {}, el("a", { class: "crumb", href: "#/queues" }, "Queues"), " / ", shown(title)), el("span", { class: "grow" }), buttons);
  fill(view.root, top, el("div", { class: "head" }, tabs), body);
  const self = { prefix, name };
  let from = 0, timer = null;
  const load = async () => {
    const { queue: q, jobs } = await get("queue", { ...self, state: chosen, from, count: 50 }, view.signal);
    const d = q.depth;
    fill(buttons, me.queues && [el("button", { onclick: () => act(q.paused ? "Resume this queue?" : "Pause this queue?", q.paused ? "Processes take jobs again." : "No process takes jobs until it is resumed. What was taken goes on.", q.paused ? "Resume" : "Pause",
      async () => { await post("queue/act", { ...self, act: q.paused ? "resume" : "pause" }); return "Done."; }, load) }, q.paused ? "Resume" : "Pause")]);
    fill(top, q.paused && el("div", { class: "note" }, "This queue is paused: no process takes jobs."), panel("", facts([
      ["Processes", count(q.workers)], ["Done in all", count(q.totals.done)], ["Failed attempts", count(q.totals.failed)], ["Dead in all", count(q.totals.dead)], ["Leases lost", count(q.totals.lost)], ["Keys", el("span", { class: "mono" }, shown(q.prefix), "{", shown(q.name), "}")],
    ])));
    fill(tabs, states.map(([s, text]) => el("button", { "aria-pressed": String(s === chosen), onclick: () => { location.hash = `#/queue/${prefix || "-"}/${name}/${s}`; } }, `${text} ${count(d[s])}`)));
    const dead = chosen === "dead" && me.queues;
    const doing = (what, ids) => async () => { const { count: n } = await post("queue/act", { ...self, act: what, ids }); return `${whole(n)} ${what === "replay" ? "ready again" : "deleted"}.`; };
    const open = new Set([...body.querySelectorAll("details[open]")].map((x) => x.dataset.id));
    fill(body, panel(dead && d.dead > 0 ? el("div", { class: "title" }, el("h2", {}, "Dead letters"), el("span", { class: "grow" }),
      el("button", { class: "primary", onclick: () => act("Replay all dead letters?", `${whole(d.dead)} jobs become ready again, with all their attempts before them.`, "Replay all", doing("replay"), load) }, "Replay all"),
      el("button", { class: "danger", onclick: () => act("Delete all dead letters?", `${whole(d.dead)} jobs go for good.`, "Delete all", doing("delete"), load) }, "Delete all")) : "",
    table([
      { name: "Job", tight: true, cell: (j) => j.id },
      { name: "Enqueued", cell: (j) => moment(j.at) },
      chosen === "delayed" && { name: "Due", cell: (j) => moment(j.due) }, chosen === "dead" && { name: "Died", cell: (j) => moment(j.due) }, chosen === "done" && { name: "Kept until", cell: (j) => moment(j.due) },
      { name: "Attempts", num: true, cell: (j) => `${j.attempts} of ${j.max}` },
      { name: "Payload", key: true, cell: (j) => detail(j, "p", j.payload, open) },
      { name: chosen === "dead" ? "Last failure" : "Notes", key: true, cell: (j) => [!isEmpty(j.error) && el("div", { class: "bad" }, detail(j, "e", j.error, open)), !isEmpty(j.output) && el("div", {}, detail(j, "o", j.output, open)), !isEmpty(j.key) && el("div", { class: "soft" }, "key ", shown(j.key)), !isEmpty(j.unique) && el("div", { class: "soft" }, "unique ", shown(j.unique))] },
      dead && { name: "", act: true, cell: (j) => [el("button", { onclick: () => act("Replay this job?", `Job ${j.id} becomes ready again, with all its attempts before it.`, "Replay", doing("replay", [j.id]), load) }, "Replay"), " ",
        el("button", { class: "danger", onclick: () => act("Delete this job?", `Job ${j.id} goes for good.`, "Delete", doing("delete", [j.id]), load) }, "Delete")] },
    ].filter(Boolean), jobs, { label: "Jobs", empty: "No job is in this state." }),
    el("div", { class: "foot" }, el("span", {}, jobs.length ? `${whole(from + 1)} to ${whole(from + jobs.length)} of ${whole(d[chosen])}` : ""), el("span", { class: "grow" }),
      from > 0 && el("button", { onclick: () => { from = Math.max(0, from - 50); load().catch(view.fail); } }, "Back"),
      from + jobs.length < d[chosen] && jobs.length === 50 && el("button", { onclick: () => { from += 50; load().catch(view.fail); } }, "Next"))));
  };
  view.onrefresh(load);
  await view.every(me.every, load);
}

function detail(job, part, blob, open) {
  if (plain(blob).length <= 90 && !blob.len) return shown(blob);
  const id = job.id + part;
  return el("details", { "data-id": id, open: open.has(id) }, el("summary", {}, shown(blob, 80)), (typeof blob === "string" && pretty(blob)) || el("pre", { class: "value small" }, shown(blob, 1e5)));
}

// ---- Sessions

export async function users(view) {
  const state = { column: 1, up: false }, body = el("div"), own = el("div");
  view.head("Sessions by user", view.search("User, such as ann*", "", () => view.refresh(), "*{??}user:*", (s) => `*{??}user:${/[*?[]/.test(s) ? s : `*${s}*`}`));
  fill(view.root, own, body);
  fill(own, await counters(view, "session", "This process"));
  await sweep(view, {
    path: "users", list: "users", match: () => view.pattern(), draw: (rows, text) => fill(body, panel("", table([
      { name: "User", key: true, cell: (u) => el("a", { href: "#/user/" + param(u.key) }, shown(u.user)), by: (u) => plain(u.user) },
      { name: "Sessions", num: true, cell: (u) => whole(u.sessions), by: (u) => u.sessions },
      { name: "The last ends", cell: (u) => moment(u.last), by: (u) => u.last },
    ], rows, { state, label: "Users", empty: "Nobody is logged in." }), foot(text + ". Visitors who are not logged in have no list."))),
  });
}

export async function user(view) {
  const key = view.args[0], body = el("div"), buttons = el("span"), title = el("span");
  view.head(el("span", {}, el("a", { class: "crumb", href: "#/sessions" }, "Sessions"), " / ", title), el("span", { class: "grow" }), buttons);
  fill(view.root, body);
  const load = async () => {
    const { user: name, sessions } = await get("sessions", { key }, view.signal);
    fill(title, shown(name));
    const revoke = (id) => async () => { const { count: n } = await post("sessions/revoke", { key, id }); return n === 1 ? "The session has ended." : `${whole(n)} sessions have ended.`; };
    fill(buttons, me.sessions && sessions.length > 0 && el("button", { class: "danger", onclick: () => act("End all sessions of this user?", ["All ", whole(sessions.length), " sessions of ", el("b", {}, shown(name)), " end at once."], "Log out everywhere", revoke(), load) }, "Log out everywhere"));
    fill(body, panel("", table([
      { name: "Session", key: true, cell: (s) => el("a", { href: "#/key/" + param(s.key) }, plain(s.id).slice(0, 12) + "…") },
      { name: "Began", cell: (s) => moment(s.created) }, { name: "Last used", cell: (s) => moment(s.seen) }, { name: "Must end", cell: (s) => moment(s.ends) },
      { name: "From", key: true, cell: (s) => (isEmpty(s.addr) ? dash : shown(s.addr)) }, { name: "With", cell: (s) => (isEmpty(s.agent) ? dash : shown(s.agent, 90)) }, { name: "Fields", num: true, cell: (s) => whole(s.fields) },
      me.sessions && { name: "", act: true, cell: (s) => el("button", { class: "danger", onclick: () => act("End this session?", "Its token is refused from now on.", "End", revoke(s.id), load) }, "End") },
    ].filter(Boolean), sessions, { label: "Sessions", empty: "This user has no session." })));
  };
  view.onrefresh(load);
  await view.every(5000, load);
}

// ---- Leaderboards

export async function boards(view) {
  const state = { column: 1, up: false }, body = el("div"), own = el("div");
  view.head("Leaderboards", view.search("Keys, such as board:*", "", () => view.refresh(), "*{*}s:*"));
  fill(view.root, own, body);
  fill(own, await counters(view, "leaderboard", "This process"));
  await sweep(view, {
    path: "boards", list: "boards", match: () => view.pattern(), draw: (rows, text) => fill(body, panel("", table([
      { name: "Board", key: true, cell: (b) => [el("a", { href: "#/board/" + param(b.key) }, shown(b.name)), !isEmpty(b.group) && el("span", { class: "soft" }, " of ", shown(b.group))], by: (b) => plain(b.name) },
      { name: "Members", num: true, cell: (b) => whole(b.members), by: (b) => b.members },
      { name: "Best is", cell: (b) => (b.lowest ? "lowest" : "highest") }, { name: "Ties", cell: (b) => (b.ties ? "first to reach" : "by name") },
      { name: "Also keeps", cell: (b) => [b.dense && "dense ranks", b.data && "data"].filter(Boolean).join(", ") || dash },
      { name: "Ends in", num: true, cell: (b) => ttl(b.ttl), by: (b) => b.ttl },
    ], rows, { state, label: "Leaderboards", empty: nothing("leaderboards") }), foot(text))),
  });
}

export async function board(view) {
  const key = view.args[0], body = el("div"), title = el("span");
  view.head(el("span", {}, el("a", { class: "crumb", href: "#/boards" }, "Leaderboards"), " / ", title), el("span", { class: "grow" }));
  fill(view.root, body);
  let from = 0;
  const load = async () => {
    const { board: b, entries } = await get("board", { key, from }, view.signal);
    fill(title, shown(b.name));
    const size = (e) => Math.abs(e.score); // NaN of "inf"
    const best = Math.max(...entries.map(size).filter(Number.isFinite), 1);
    fill(body, panel("", table([
      { name: "Rank", num: true, cell: (e) => whole(e.rank) }, { name: "Member", key: true, cell: (e) => shown(e.member) }, { name: "Score", num: true, cell: (e) => (typeof e.score === "string" ? e.score : whole(e.score)) },
      { name: "", cell: (e) => bar(typeof e.score === "string" ? 1 : size(e) / best) }, b.data && { name: "Data", key: true, cell: (e) => (isEmpty(e.data) ? dash : shown(e.data)) },
    ].filter(Boolean), entries, { label: "Members" }), el("div", { class: "foot" }, el("span", {}, `${whole(from + 1)} to ${whole(from + entries.length)} of ${whole(b.members)}`), el("span", { class: "grow" }),
      from > 0 && el("button", { onclick: () => { from = Math.max(0, from - 100); load().catch(view.fail); } }, "Back"), from + entries.length < b.members && el("button", { onclick: () => { from += 100; load().catch(view.fail); } }, "Next"))));
  };
  view.onrefresh(load);
  await view.every(me.every, load);
}

// ---- Locks

const kinds = { "": "mutex", sem: "semaphore", rw: "read-write", leader: "election" };

export async function locks(view) {
  const state = { column: 4, up: false }, body = el("div"), own = el("div");
  const free = el("input", { type: "checkbox", id: "free", onchange: () => view.refresh() });
  view.head("Locks", view.search("Keys, such as lock:{stock*", "", () => view.refresh(), "lock:{*}*"), el("label", { for: "free" }, free, " free ones, too"));
  fill(view.root, own, body);
  fill(own, await counters(view, "lock", "This process"));
  await sweep(view, {
    path: "locks", list: "locks", match: () => view.pattern(), draw: (rows, text) => {
      const some = free.checked ? rows : rows.filter((l) => !l.free);
      fill(body, panel("", table([
        { name: "Lock", key: true, cell: (l) => el("a", { href: "#/lock/" + param(l.key) }, shown(l.name)), by: (l) => plain(l.name) },
        { name: "Kind", cell: (l) => (Object.hasOwn(kinds, l.kind || "") ? kinds[l.kind || ""] : shown(l.kind)), by: (l) => l.kind || "" },
        { name: "Holder", key: true, cell: (l) => (!isEmpty(l.holder) ? shown(l.holder) : l.shared ? `${whole(l.shared)} share it` : el("span", { class: "tag" }, l.waiters ? "passing on" : "free")), by: (l) => plain(l.holder) },
        { name: "Held for", num: true, cell: (l) => (l.since && !isEmpty(l.holder) ? span(Date.now() - l.since) : dash), by: (l) => -l.since },
        { name: "Waiting", num: true, cell: (l) => el("span", { class: l.waiters ? "warn" : "" }, whole(l.waiters)), by: (l) => l.waiters },
        { name: "Lease left", num: true, cell: (l) => (l.left ? span(l.left) : dash), by: (l) => l.left },
        { name: "Last token", num: true, cell: (l) => el("span", { class: "mono" }, String(l.token)) },
      ], some, { state, label: "Locks", empty: rows.length ? "All locks are free." : nothing("locks") }), foot([text, `, ${whole(rows.filter((l) => l.free).length)} of them free`])));
    },
  });
}

export async function lock(view) {
  const key = view.args[0], body = el("div");
  view.head(el("span", {}, el("a", { class: "crumb", href: "#/locks" }, "Locks"), " / ", el("span", { class: "mono" }, shown(blobOf(unparam(key))))));
  fill(view.root, body);
  const load = async () => {
    const { lock: l, holders, waiters } = await get("lock", { key }, view.signal);
    const columns = [{ name: "Owner", key: true, cell: (c) => shown(c.owner) }, { name: "Mode", cell: (c) => (c.shared ? "shared" : "exclusive") }];
    fill(body, panel("Holders", table([...columns, { name: "Since", cell: (c) => moment(c.since) }, { name: "Lease left", num: true, cell: (c) => span(c.left) }, { name: "Token", num: true, cell: (c) => el("span", { class: "mono" }, String(c.token)) }], holders, { label: "Holders", empty: "Nobody holds it." })),
      panel("Waiting, in this order", table([{ name: "Place", num: true, cell: (c) => whole(waiters.indexOf(c) + 1) }, ...columns, { name: "Heard of until", num: true, cell: (c) => "in " + span(c.left) }], waiters, { label: "Waiters", empty: "Nobody waits." })),
      foot(`The last token is ${l.token}.`));
  };
  view.onrefresh(load);
  await view.every(2000, load);
}
