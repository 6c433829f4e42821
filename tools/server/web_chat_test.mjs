// Drives the chat page of a running `agave serve` in headless Chromium:
//   npm install playwright-core; agave serve MODEL --port 8080 &
//   node tools/server/web_chat_test.mjs http://127.0.0.1:8080 [--chromium /usr/bin/chromium] [--screenshots FOLDER]
// What the model says does not matter, save that it must say something. Exits 1 at the first thing that is wrong.
import { createRequire } from "node:module";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import assert from "node:assert/strict";

const { chromium } = createRequire(join(process.cwd(), "x.js"))("playwright-core");
const [address, ...rest] = process.argv.slice(2);
const flag = (name, otherwise) => (rest.includes(name) ? rest[rest.indexOf(name) + 1] : otherwise);
const shots = flag("--screenshots", "");

const context = await chromium.launchPersistentContext(mkdtempSync(join(tmpdir(), "agave-chat-")), {
  executablePath: flag("--chromium", "/usr/bin/chromium"),
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
  viewport: { width: 1100, height: 800 },
});
const page = context.pages()[0] ?? await context.newPage();
page.setDefaultTimeout(60000);
const complaints = [];
page.on("console", message => { if (message.type() === "error") complaints.push(message.text()); });
page.on("pageerror", error => complaints.push(String(error)));
const shot = name => shots && page.screenshot({ path: join(shots, name + ".png") });
const step = name => console.log("ok  ", name);

const ask = async text => {
  await page.fill("#input", text);
  await page.press("#input", "Enter");
};
const done = () => page.waitForFunction(() => document.querySelector("#send").textContent === "Send");
const answers = () => page.locator("article.assistant");

/// Serves one made-up answer for the next question, in the pieces given.
const answerWith = async (...deltas) => {
  const events = deltas.map(delta => ({ choices: [{ index: 0, delta, finish_reason: null }] }));
  events.push({ choices: [], usage: { prompt_tokens: 1, completion_tokens: deltas.length, total_tokens: 1 } });
  await page.route("**/v1/chat/completions", route => route.fulfill({
    status: 200, contentType: "text/event-stream",
    body: events.map(event => `data: ${JSON.stringify(event)}\n\n`).join("") + "data: [DONE]\n\n",
  }), { times: 1 });
};

await page.goto(address);
await page.waitForFunction(() => document.querySelector("#only").textContent || !document.querySelector("#model").hidden);
assert.equal(await page.evaluate(() => document.activeElement.id), "input");
await shot("empty");
step("the page loads, names the model and waits for a message");

await page.click("#settings");
await page.fill("[name=max_tokens]", "40");
await page.fill("[name=temperature]", "0");
await page.fill("[name=system]", "You answer in one sentence.");
await page.click("#options button.main");
let sent = null;
page.on("request", request => { if (request.url().endsWith("/v1/chat/completions")) sent = request.postDataJSON(); });
await ask("What is a cactus?");
await done();
assert.equal(await answers().count(), 1);
const first = await answers().nth(0).locator(".body").textContent();
assert.ok(first.trim().length > 0);
assert.match(await answers().nth(0).locator(".tools span").textContent(), /\d+ tokens, [\d.]+\/s/);
assert.equal(sent.messages[0].role, "system");
assert.equal(sent.temperature, 0);
assert.equal(sent.max_tokens, 40);
await shot("answer");
step("a message is answered with the settings, and the speed is shown");

await answers().nth(0).getByText("Regenerate").click();
await done();
assert.equal(await answers().count(), 1);
assert.equal(await answers().nth(0).locator(".body").textContent(), first);
step("regenerating at temperature 0 gives the same answer");

await page.locator("article.user").getByText("Edit").click();
await page.fill(".edit textarea", "What is a rose?");
await page.press(".edit textarea", "Enter");
await done();
assert.equal(await page.locator("article.user .body").textContent(), "What is a rose?");
assert.equal(await answers().count(), 1);
step("an edited message is asked again");

await page.click("#settings");
await page.fill("[name=max_tokens]", "4000");
await page.click("#options button.main");
await ask("Count from one to a thousand, one number a line, in words.");
await page.waitForFunction(() => document.querySelectorAll("article.assistant")[1]?.querySelector(".body")?.textContent.length > 20);
await shot("streaming");
await page.press("#input", "Escape");
await done();
assert.ok((await answers().nth(1).locator(".body").textContent()).length > 0);
step("Escape stops an answer, which stays");

await page.reload();
await page.locator("#list .open").first().click();
assert.equal(await answers().count(), 2);
step("conversations survive a reload");

await page.keyboard.press("Alt+n");
assert.equal(await answers().count(), 0);
await answerWith({ reasoning_content: "Let me " }, { reasoning_content: "think." }, { content: "# Title\n\nSome **bold** and `code` and [a link](https://example.com/x).\n\n" },
  { content: "- one\n- two\n  1. nested\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> quoted\n\n```python\nprint('<b>')\n```\n\nlast\nline" });
await ask("Markdown, please");
await done();
const html = await answers().nth(0).evaluate(e => e.innerHTML);
assert.equal(await page.locator("details.think").getAttribute("open"), null);
assert.equal(await page.locator("details.think > div").textContent(), "Let me think.");
for (const selector of ["h1", "strong", ":not(pre) > code", "a[href='https://example.com/x'][rel*=noopener]", "ul > li", "ul ol > li", "table td", "blockquote p", ".code pre code", "p br"])
  assert.ok(await answers().nth(0).locator(selector).count() > 0, selector + " in " + html);
assert.equal(await page.locator(".code pre").textContent(), "print('<b>')");
assert.equal(await page.locator(".code div span").textContent(), "python");
await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: address });
await page.locator(".code .copy").click();
assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "print('<b>')");
await shot("markdown");
step("reasoning is folded, Markdown is shown, code is copied");

await page.keyboard.press("Alt+n");
const hostile = ["<img src=x onerror=window.hacked=1>", "<script>window.hacked=1</scr" + "ipt>", "[x](javascript:window.hacked=1)",
  "[x](data:text/html,<script>1</script>)", "![x](http://127.0.0.1:1/steal.png)", "`<svg onload=window.hacked=1>`", "| <iframe src=//x> | b |\n|-|-|\n| <a href=javascript:1> | c |",
  "```html\"><img src=x onerror=window.hacked=1>\n</code></pre><img src=x onerror=window.hacked=1>\n```", "<https://ok.example/\"onmouseover=\"window.hacked=1>",
  "> - # **<b onclick=1>" , "\u202e<style>*{display:none}</style>"];
let loads = 0;
page.on("request", request => { if (!request.url().startsWith(address)) loads++; });
await answerWith(...hostile.map(content => ({ content: content + "\n\n" })), { reasoning_content: hostile.join("\n") });
await ask(hostile.join("\n"));
await done();
assert.equal(await page.evaluate(() => window.hacked), undefined);
assert.equal(await page.locator("article :is(img, script, iframe, svg, style, b)").count(), 0);
assert.deepEqual(await page.locator("article a").evaluateAll(links => links.map(link => new URL(link.href).protocol).filter(p => p !== "http:" && p !== "https:")), []);
assert.equal(loads, 0);
step("what a model writes is never markup and loads nothing");

for (const [text, most] of [["*".repeat(20000), 3000], ["[".repeat(20000), 3000], ["> ".repeat(5000) + "x", 3000], ["_a".repeat(10000), 3000], ["`a ``".repeat(4000), 3000], ["- ".repeat(5000), 3000], ["| ".repeat(3000) + "\n" + "|-".repeat(3000), 3000]]) {
  await page.keyboard.press("Alt+n");
  await answerWith({ content: text });
  const begin = Date.now();
  await ask("hostile Markdown");
  await done();
  assert.ok(Date.now() - begin < most, `${text.slice(0, 6)}... took ${Date.now() - begin} ms`);
}
step("hostile Markdown is shown quickly");

await page.keyboard.press("Alt+n");
await page.route("**/v1/chat/completions", route => route.fulfill({ status: 503, contentType: "application/json", body: '{"error":{"message":"busy <b>"}}' }), { times: 1 });
await ask("error");
await done();
assert.equal(await page.locator(".error").textContent(), "busy <b>");
await page.route("**/v1/chat/completions", route => route.fulfill({ status: 200, contentType: "text/event-stream", body: 'data: {"choices":[{"delta":{"content":"half"}}]}\n\n' }), { times: 1 });
await page.locator("article.assistant").getByText("Regenerate").click();
await done();
assert.match(await page.locator(".error").textContent(), /ended before/);
assert.equal(await answers().nth(0).locator(".body").textContent(), "half");
step("errors are told, and what came before them stays");

await page.emulateMedia({ colorScheme: "dark" });
const dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
await page.click("#theme");
assert.notEqual(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), dark);
await page.click("#theme");
await shot("dark");
await page.setViewportSize({ width: 390, height: 780 });
assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
await page.click("#menu");
await shot("narrow");
await page.locator("#list .open").last().click();
step("dark and light, wide and narrow");

const unnamed = await page.evaluate(() => [...document.querySelectorAll("button, input, select, textarea")].filter(e =>
  !(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.length)).map(e => e.outerHTML));
assert.deepEqual(unnamed, []);
step("every control has a name");

await page.setViewportSize({ width: 1100, height: 800 });
const before = await page.locator("#list li").count();
await page.locator("#list li").first().hover();
await page.locator("#list .drop").first().click();
assert.equal(await page.locator("#list li").count(), before - 1);
page.once("dialog", dialog => dialog.accept());
await page.click("#wipe");
assert.equal(await page.locator("#list li").count(), 0);
step("conversations are deleted");

// Errors that the page caused on purpose are logged by the browser as failed loads.
assert.deepEqual(complaints.filter(text => !/status of 503/.test(text)), []);
step("the console is clean");
await context.close();
