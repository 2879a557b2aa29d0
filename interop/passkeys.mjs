// Records passkeys and assertions of Chromium's virtual authenticator over the signature texts of identity updates:
// vectors/passkeys/chromium.json. No package is needed:
//
//     node --experimental-websocket passkeys.mjs [CHROMIUM] > ../vectors/passkeys/chromium.json
//
// The texts are put together here from docs/spec/identity.md §4, inbox ids from §2.3, so that the file owes nothing to
// the library that it tests. Wallets and installations sign in the test, with the keys of association_logs.json.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PORT = 8642;
const ORIGIN = `http://localhost:${PORT}`;
const SUBDOMAIN = `http://wallet.localhost:${PORT}`;
const START = 1_767_225_600n; // 2026-01-01T00:00:00Z

const { test_keys } = JSON.parse(readFileSync(new URL("../vectors/identity/association_logs.json", import.meta.url)));
const [wallet1, wallet2] = test_keys.eoa.map((key) => ({ kind: "ethereum", key: key.label, text: key.address }));
const [installation1, installation2, installation3] = test_keys.installations.map((key) => ({
  kind: "installation", key: key.label, text: key.public_key,
}));

// ---- the browser ----------------------------------------------------------------------------------------------------

function pageServer() {
  const server = createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>passkeys</title>");
  });
  return new Promise((done) => server.listen(PORT, "127.0.0.1", () => done(server)));
}

async function browser(program) {
  const folder = mkdtempSync(join(tmpdir(), "passkeys-"));
  const child = spawn(program, [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--remote-debugging-port=0", `--user-data-dir=${folder}`,
    "about:blank",
  ], { stdio: ["ignore", "ignore", "pipe"] });
  process.on("exit", () => child.kill());
  const address = await new Promise((done, fail) => {
    let said = "";
    child.stderr.on("data", (data) => {
      said += data;
      const found = said.match(/DevTools listening on (ws:\S+)/);
      if (found) done(found[1]);
    });
    child.on("exit", () => fail(new Error(`the browser ended: ${said}`)));
  });
  const socket = new WebSocket(address);
  await new Promise((done) => socket.addEventListener("open", done));
  const waiting = new Map();
  let last = 0;
  socket.addEventListener("message", ({ data }) => {
    const { id, result, error } = JSON.parse(data);
    const [done, fail] = waiting.get(id) ?? [];
    waiting.delete(id);
    if (error) fail?.(new Error(error.message));
    else done?.(result);
  });
  const call = (method, params = {}, sessionId = undefined) => new Promise((done, fail) => {
    waiting.set(++last, [done, fail]);
    socket.send(JSON.stringify({ id: last, method, params, sessionId }));
  });
  const close = () => new Promise((done) => {
    child.removeAllListeners("exit");
    child.on("exit", () => { rmSync(folder, { recursive: true, force: true }); done(); });
    socket.close();
    child.kill();
  });
  return { call, close };
}

/** A page with one virtual authenticator of its own. */
async function page(call, origin, authenticator) {
  const { targetId } = await call("Target.createTarget", { url: origin });
  const { sessionId } = await call("Target.attachToTarget", { targetId, flatten: true });
  // Only a page that has the focus may use passkeys.
  await call("Emulation.setFocusEmulationEnabled", { enabled: true }, sessionId);
  await call("WebAuthn.enable", { enableUI: false }, sessionId);
  await call("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", automaticPresenceSimulation: true, ...authenticator },
  }, sessionId);
  return async (expression) => {
    const parameters = { expression, awaitPromise: true, returnByValue: true, userGesture: true };
    for (let tries = 0; ; tries++) {
      await call("Page.bringToFront", {}, sessionId);
      const { result, exceptionDetails } = await call("Runtime.evaluate", parameters, sessionId);
      if (!exceptionDetails) return result.value;
      const why = exceptionDetails.exception?.description ?? exceptionDetails.text;
      // The first questions may come before the page is there.
      if (tries > 20) throw new Error(why);
      await new Promise((done) => setTimeout(done, 250));
    }
  };
}

const IN_PAGE = `
  const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const bytes = (text) => new Uint8Array((text.match(/../g) ?? []).map((byte) => parseInt(byte, 16)));
`;

/** A new ES256 credential: its id, its public key in three encodings, and what authenticator and client said. */
async function create(run, label, origin, { extensions = {}, selection = {} } = {}) {
  const made = await run(`(async () => { ${IN_PAGE}
    const credential = await navigator.credentials.create({ publicKey: {
      rp: { name: "passkeys" }, user: { id: bytes("${hex(label)}"), name: "${label}", displayName: "${label}" },
      challenge: bytes("${hex(`create ${label}`)}"), pubKeyCredParams: [{ type: "public-key", alg: -7 }],
      authenticatorSelection: ${JSON.stringify(selection)}, extensions: ${JSON.stringify(extensions)},
    } });
    const { response } = credential;
    return {
      id: hex(credential.rawId), algorithm: response.getPublicKeyAlgorithm(), spki: hex(response.getPublicKey()),
      authenticator_data: hex(response.getAuthenticatorData()), client_data_json: hex(response.clientDataJSON),
    };
  })()`);
  if (made.algorithm !== -7) throw new Error(`${label} has algorithm ${made.algorithm}`);
  const uncompressed = made.spki.slice(-130);
  const [x, y] = [uncompressed.slice(2, 66), uncompressed.slice(66)];
  const compressed = (parseInt(y.slice(-1), 16) % 2 ? "03" : "02") + x;
  // Flags, counter, then AAGUID, length and id of the credential, and its key as COSE; extensions may follow.
  const after = 2 * (37 + 16);
  const length = parseInt(made.authenticator_data.slice(after, after + 4), 16);
  const cose_key = made.authenticator_data.slice(after + 4 + 2 * length, after + 4 + 2 * length + 154);
  const { spki, algorithm, ...rest } = made;
  return { label, origin, ...rest, cose_key, uncompressed, compressed };
}

/** The assertion of a credential over a text, which is the challenge as it is. */
async function assert(run, credential, text, { extensions = "{}", verification = "preferred" } = {}) {
  return run(`(async () => { ${IN_PAGE}
    const { response } = await navigator.credentials.get({ publicKey: {
      challenge: bytes("${hex(text)}"), userVerification: "${verification}",
      allowCredentials: [{ type: "public-key", id: bytes("${credential.id}") }], extensions: ${extensions},
    } });
    return {
      signature: hex(response.signature), authenticator_data: hex(response.authenticatorData),
      client_data_json: hex(response.clientDataJSON),
    };
  })()`);
}

// ---- identity updates -----------------------------------------------------------------------------------------------

const hex = (text) => Buffer.from(text, "utf8").toString("hex");
const inboxId = (identifier, nonce) => createHash("sha256").update(`${identifier.text}${nonce}`).digest("hex");

const TITLES = {
  create: { ethereum: "Create inbox", passkey: "Create inbox" },
  add: {
    ethereum: "Link address to inbox", passkey: "Link passkey to inbox", installation: "Grant messaging access to app",
  },
  revoke: {
    ethereum: "Unlink address from inbox", passkey: "Unlink passkey from inbox",
    installation: "Revoke messaging access from app",
  },
  change_recovery: { ethereum: "Change inbox recovery address", passkey: "Change inbox recovery address" },
};

function lines({ action, who }) {
  const named = { ethereum: "Address", passkey: "Passkey", installation: "ID" }[who.kind];
  const label = { create: "Owner", change_recovery: "Address" }[action] ?? named;
  return `- ${TITLES[action][who.kind]}\n  (${label}: ${who.text})`;
}

function signatureText(inbox, seconds, actions) {
  const time = new Date(Number(seconds) * 1000).toISOString().replace(".000Z", "Z");
  return `XMTP : Authenticate to inbox\n\nInbox ID: ${inbox}\nCurrent time: ${time}\n\n`
    + `${actions.map(lines).join("\n")}\n\nFor more info: https://xmtp.org/signatures`;
}

/** A signer as the file names it: passkeys with their key bytes, others by the label of their key. */
const shown = ({ kind, key, text }) => (kind === "passkey" ? { kind, credential: key, public_key: text } : { kind, key });

// ---- what is recorded -----------------------------------------------------------------------------------------------

const server = await pageServer();
const { call, close } = await browser(process.argv[2] ?? "chromium");
const { product } = await call("Browser.getVersion");
const inPlatform = {
  ctap2Version: "ctap2_1", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
  hasPrf: true, hasLargeBlob: true, defaultBackupEligibility: true, defaultBackupState: true,
};
const onStick = { transport: "usb", hasResidentKey: false, hasUserVerification: false };
const platform = await page(call, ORIGIN, inPlatform);
const stick = await page(call, ORIGIN, onStick);
const elsewhere = await page(call, SUBDOMAIN, inPlatform);

const resident = { residentKey: "required", userVerification: "required" };
const made = [
  [await create(platform, "synced", ORIGIN, { selection: resident }), platform, {}],
  [await create(stick, "stick", ORIGIN), stick, { verification: "discouraged" }],
  [await create(platform, "prf", ORIGIN, { selection: resident, extensions: { prf: {} } }), platform,
    { extensions: `{ prf: { eval: { first: new Uint8Array(32) } } }` }],
  [await create(elsewhere, "subdomain", SUBDOMAIN, { selection: resident }), elsewhere, { verification: "required" }],
];
const credentials = made.map(([credential]) => credential);
const passkey = (label, form) => {
  const credential = credentials.find((made) => made.label === label);
  return { kind: "passkey", key: label, text: credential[form] };
};
const synced = passkey("synced", "compressed");
const stick1 = passkey("stick", "compressed");
const prf = passkey("prf", "compressed");
const subdomain = passkey("subdomain", "compressed");
const open = (label) => passkey(label, "uncompressed");

const create_ = (who, nonce) => ({ action: "create", who, nonce, by: [who] });
const add = (who, by) => ({ action: "add", who, by: [by, who] });
const revoke = (who, by) => ({ action: "revoke", who, by: [by] });
const change = (who, by) => ({ action: "change_recovery", who, by: [by] });

const INBOXES = [
  ["a passkey's inbox from registration to its handing on", synced, 1, [
    [create_(synced, 1), add(installation1, synced)],
    [add(wallet1, synced)],
    [add(stick1, synced)],
    [add(installation2, stick1), add(wallet2, stick1)],
    [add(prf, installation1)],
    [revoke(installation1, synced)],
    [change(stick1, synced)],
    [revoke(synced, stick1), revoke(wallet2, stick1)],
    [add(installation3, prf)],
    [change(wallet1, stick1)],
    [revoke(stick1, wallet1), add(synced, wallet1)],
    [revoke(prf, wallet1), change(synced, wallet1)],
    [revoke(wallet1, synced)],
  ]],
  ["the same key uncompressed is another passkey", open("stick"), 0, [
    [create_(open("stick"), 0)],
    [add(stick1, open("stick"))],
    [add(installation1, stick1)],
    [revoke(open("stick"), open("stick"))],
    [change(stick1, open("stick"))],
    [revoke(installation1, stick1)],
  ]],
  ["a wallet's inbox handed to passkeys", wallet1, 7, [
    [create_(wallet1, 7), add(subdomain, wallet1), add(open("prf"), wallet1)],
    [add(installation1, subdomain), add(installation2, open("prf"))],
    [change(subdomain, wallet1)],
    [revoke(wallet1, subdomain)],
    [change(open("subdomain"), subdomain)],
    [revoke(subdomain, open("subdomain"))],
    [add(subdomain, open("subdomain")), add(wallet1, open("subdomain"))],
  ]],
];

/** Who belongs to an inbox after an action: members by text with who added them, and the recovery identifier. */
function apply(state, { action, who, by: [by] }) {
  if (action === "create") Object.assign(state, { members: new Map([[who.text, {}]]), recovery: who.text });
  if (action === "add") state.members.set(who.text, { kind: who.kind, by: by.text });
  if (action === "change_recovery") state.recovery = who.text;
  if (action === "revoke") {
    state.members.delete(who.text);
    for (const [text, { kind, by }] of [...state.members]) {
      if (kind === "installation" && by === who.text) state.members.delete(text);
    }
  }
}

const inboxes = [];
for (const [about, owner, nonce, updates] of INBOXES) {
  const inbox_id = inboxId(owner, nonce);
  const recorded = [];
  const state = {};
  for (const [index, actions] of updates.entries()) {
    const seconds = START + BigInt(60 * (index + 1));
    const text = signatureText(inbox_id, seconds, actions);
    const signers = new Map(actions.flatMap(({ by }) => by).map((signer) => [signer.text, signer]));
    const assertions = [];
    for (const signer of [...signers.values()].filter(({ kind }) => kind === "passkey")) {
      const [credential, run, options] = made.find(([credential]) => credential.label === signer.key);
      const assertion = await assert(run, credential, text, options);
      assertions.push({ credential: signer.key, public_key: signer.text, ...assertion });
    }
    actions.forEach((action) => apply(state, action));
    recorded.push({
      client_timestamp_ns: String(seconds * 1_000_000_000n + 123n), text,
      actions: actions.map(({ action, who, nonce, by }) => ({ action, who: shown(who), nonce, by: by.map(shown) })),
      assertions, members: [...state.members.keys()].sort(), recovery: state.recovery,
    });
  }
  inboxes.push({ about, inbox_id, updates: recorded });
}

const source = `credentials and assertions by the virtual authenticator of ${product} (${process.platform} ${process.arch}), `
  + "driven by interop/passkeys.mjs, which builds texts and inbox ids itself; which updates are legal is read off the "
  + "specification. Wallets and installations sign with test_keys of identity/association_logs.json";
console.log(JSON.stringify({ source, credentials, inboxes }, null, 1));
await close();
server.close();
