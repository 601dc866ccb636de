// Uses a ComfyUI as a person does: opens the pack's templates and blueprints in Chromium, presses Run, looks at the page.
//
//   node browser.mjs '{"url": "http://127.0.0.1:8188", "folder": "sora-nodes", "templates": ["text_to_video"],
//                      "run": ["text_to_video"], "blueprints": [], "shots": "/tmp/shots", "settings": {}}'
//
// Prints one line of JSON: what it saw. Needs playwright-core (found through NODE_PATH) and Chromium (CHROMIUM, or
// /usr/bin/chromium).
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { chromium } = createRequire(import.meta.url)("playwright-core");
const asked = { templates: [], run: [], blueprints: [], settings: {}, ...JSON.parse(process.argv[2]) };
const seen = { load: [], errors: [], templates: {}, blueprints: {}, runs: {} };
const MINUTES = 60_000;

// The page's own address differs from host to host.
const plain = (text) => text.replaceAll(asked.url, "").replaceAll(/\s+/g, " ").slice(0, 300);

const profile = mkdtempSync(join(tmpdir(), "sora_browser_"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  headless: true,
  viewport: { width: 1600, height: 900 },
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});
try {
  const page = context.pages()[0];
  // A busy machine draws a few frames a minute.
  page.setDefaultTimeout(3 * MINUTES);
  let errors = seen.load;
  page.on("pageerror", (error) => errors.push(plain(error.message)));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(plain(`${message.text()} ${message.location().url}`));
  });
  await context.request.post(`${asked.url}/settings`, { data: asked.settings });
  await page.goto(asked.url, { waitUntil: "domcontentloaded", timeout: 2 * MINUTES });
  await page.getByTestId("queue-button").first().waitFor({ timeout: 3 * MINUTES });
  await page.waitForTimeout(5000);
  errors = seen.errors;
  if (asked.shots) mkdirSync(asked.shots, { recursive: true });
  const shoot = (name) => asked.shots && page.screenshot({ path: join(asked.shots, `${name}.png`) });

  for (const name of asked.templates) {
    await openTemplate(page, name, shoot);
    await shoot(name);
    seen.templates[name] = await look(page);
    if (asked.run.includes(name)) {
      seen.runs[name] = await press(page);
      await shoot(`${name}_run`);
    }
  }
  for (const name of asked.blueprints) {
    await page.getByRole("button", { name: "Create a new blank workflow" }).click();
    await page.waitForTimeout(1000);
    await page.mouse.dblclick(800, 500);
    await page.waitForTimeout(1000);
    await page.keyboard.type(name);
    await page.waitForTimeout(2500);
    await page.keyboard.press("Enter");
    await page.waitForTimeout(1500);
    await page.mouse.click(800, 500);
    await page.waitForTimeout(1500);
    await shoot(name);
    seen.blueprints[name] = await look(page);
  }
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
process.stdout.write(`${JSON.stringify(seen)}\n`);

/** Open one of the pack's templates from the template browser. */
async function openTemplate(page, name, shoot) {
  await page.getByRole("button", { name: "Templates" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText(asked.folder, { exact: true }).first().click();
  const card = dialog.getByTestId(`template-workflow-${name}`);
  const cards = dialog.getByTestId(/^template-workflow-/);
  await cards.first().waitFor({ timeout: MINUTES });
  await page.waitForTimeout(1500);
  await shoot("templates");
  // The list draws its later cards when one scrolls to them.
  for (let tries = 0; tries < 40 && !(await card.isVisible()); tries++) {
    await cards.last().scrollIntoViewIfNeeded();
    await page.mouse.wheel(0, 600);
    await page.waitForTimeout(300);
  }
  await card.waitFor({ timeout: MINUTES });
  await card.click();
  await dialog.first().waitFor({ state: "hidden", timeout: MINUTES });
  await page.waitForTimeout(2500);
}

/** Return what is on the canvas: node types, those that are missing, and the prompt that Run would send. */
async function look(page) {
  return page.evaluate(async () => {
    const { app, LiteGraph } = window;
    const nodes = app.graph.nodes;
    const inner = nodes.flatMap((node) => (node.subgraph ? [...node.subgraph.nodes] : []));
    const known = (node) => node.subgraph || LiteGraph.registered_node_types[node.type];
    return {
      types: nodes.map((node) => node.type),
      inner: inner.map((node) => node.type),
      missing: [...nodes, ...inner].filter((node) => !known(node) || node.has_errors).map((node) => node.type),
      inputs: nodes.map((node) => (node.inputs ?? []).map((input) => input.name)),
      prompt: JSON.parse(JSON.stringify((await app.graphToPrompt()).output)),
    };
  });
}

/** Press Run, wait for the end, and return the prompt's state and how many pictures and clips the nodes show. */
async function press(page) {
  const before = Object.keys(await (await page.request.get(`${asked.url}/history`)).json());
  await page.getByTestId("queue-button").first().click();
  for (let waited = 0; waited < 2 * MINUTES; waited += 500) {
    const history = await (await page.request.get(`${asked.url}/history`)).json();
    const number = Object.keys(history).find((key) => !before.includes(key));
    if (number) {
      await page.waitForTimeout(5000);
      const shown = await page.evaluate(() => ({
        videos: [...document.querySelectorAll("video")].filter((video) => video.videoWidth > 0).length,
        pictures: window.app.graph.nodes.reduce((sum, node) => sum + (node.imgs?.length ?? 0), 0),
      }));
      return { status: history[number].status.status_str, ...shown };
    }
    await page.waitForTimeout(500);
  }
  return { status: "did not end" };
}
