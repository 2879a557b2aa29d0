// The official client behind our driver's protocol: `SUBROSA_DRIVER=driver.mjs node together.mjs` checks the scenarios
// themselves, since then both sides are the reference.
import { createInterface } from 'node:readline';
import path from 'node:path';
import { backend, client, dbDir, epochAuthenticator, hex, members, stored, wallet, xmtp } from './lib.mjs';

let c;
let unsigned; // what waits for signatures: the request, and what to do with it then
const bytes = (text) => Buffer.from(text, 'hex');
const identifier = ({ identifier, kind }) => ({ identifier: kind === 'passkey' ? identifier : identifier.toLowerCase(), identifierKind: kind === 'passkey' ? 1 : 0 });
const named = ({ identifier, identifierKind }) => ({ identifier, kind: ['ethereum', 'passkey'][identifierKind] });
const made = () => ({ inbox: c.inboxId(), installation: c.installationId() });
async function wait(request, then) {
  if (!request) return null;
  unsigned = { request, then };
  return { text: await request.signatureText(), missing: ['whoever has to'] };
}
const applied = (request) => c.applySignatureRequest(request);
const changes = {
  add: async (name) => wait(await c.addIdentifierSignatureRequest(identifier(name)), applied),
  remove: async (name) => wait(await c.revokeIdentifierSignatureRequest(identifier(name)), applied),
  recovery: async (name) => wait(await c.changeRecoveryIdentifierSignatureRequest(identifier(name)), applied),
  revoke: async ({ installations }) => wait(await c.revokeInstallationsSignatureRequest(installations.map(bytes)), applied),
  revoke_others: async () => wait(await c.revokeAllOtherInstallationsSignatureRequest(), applied),
  revoke_unaided: async ({ inbox, installations, ...name }) => wait(
    await xmtp.revokeInstallationsSignatureRequest(await backend(), identifier(name), inbox, installations.map(bytes)),
    async (request) => xmtp.applySignatureRequest(await backend(), request),
  ),
};
const conv = (group) => c.conversations().getConversationById(group);

const operations = {
  async create({ wallet_key, name, path: file, db_key, new_inbox }) {
    if (new_inbox) throw new Error('the official client makes no second inbox of an account');
    if (wallet_key) {
      c = await client(wallet(`0x${wallet_key}`), { db: path.basename(file, '.db3'), key: bytes(db_key) });
      return made();
    }
    const id = identifier(name);
    const inbox = (await xmtp.getInboxIdByIdentity(await backend(), id)) ?? xmtp.generateInboxId(id, 1n);
    const where = { dbPath: path.join(dbDir, path.basename(file)), encryptionKey: bytes(db_key) };
    c = await xmtp.createClientWithBackend(await backend(), where, inbox, id, 'Disabled', { level: 'Off' }, false, 1n);
    return wait(await c.createInboxSignatureRequest(), async (request) => { await c.registerIdentity(request); return made(); });
  },
  async inbox_state({ inbox }) {
    const [state] = await c.fetchInboxStatesByInboxIds([inbox], true);
    const member = (member, client_timestamp_ns) => ({ member, added_by: 'not shown', client_timestamp_ns, added_on_chain_id: null });
    return {
      inbox: state.inboxId,
      recovery: named(state.recoveryIdentifier),
      members: [
        ...state.identifiers.map((one) => member(named(one), 'not shown')),
        ...state.installations.map((one) => member({ identifier: one.id, kind: 'installation' }, String(one.clientTimestampNs))),
      ],
      updates: (await c.fetchInboxUpdatesCount([inbox], true))[inbox],
    };
  },
  change: ({ what, ...fields }) => changes[what](fields),
  async sign({ by, signature, ...fields }) {
    const list = (text) => [...bytes(text)];
    if (by === 'ethereum') await unsigned.request.addEcdsaSignature(bytes(signature));
    else if (by === 'contract') await unsigned.request.addScwSignature(identifier({ identifier: fields.address }), bytes(signature), BigInt(fields.chain_id), fields.block_number && BigInt(fields.block_number));
    else await unsigned.request.addPasskeySignature({ publicKey: list(fields.public_key), signature: list(signature), authenticatorData: list(fields.authenticator_data), clientDataJson: list(fields.client_data_json) });
    return { missing: [] };
  },
  apply: () => unsigned.then(unsigned.request),
  can_message: ({ names }) => c.canMessage(names.map(identifier)),
  async key_packages({ installations }) {
    const statuses = await c.fetchKeyPackageStatusesByInstallationIds(installations);
    return Object.fromEntries(Object.entries(statuses).map(([id, { lifetime, validationError }]) => [id, lifetime
      ? { not_before: Number(lifetime.notBefore), not_after: Number(lifetime.notAfter) } : { unusable: validationError }]));
  },
  sign_text: ({ text }) => hex(c.signWithInstallationKey(text)),
  verify_text: ({ text, signature, installation }) => {
    try { xmtp.verifySignedWithPublicKey(text, bytes(signature), bytes(installation)); return true; } catch { return false; }
  },
  create_group: async ({ inboxes, name }) => ({ group: (await c.conversations().createGroup(inboxes, { groupName: name })).id() }),
  create_dm: async ({ inbox }) => ({ group: (await c.conversations().createDm(inbox)).id() }),
  add: ({ group, inboxes }) => conv(group).addMembers(inboxes),
  remove: ({ group, inboxes }) => conv(group).removeMembers(inboxes),
  set_name: ({ group, name }) => conv(group).updateGroupName(name),
  add_admin: ({ group, inbox }) => conv(group).addAdmin(inbox),
  remove_admin: ({ group, inbox }) => conv(group).removeAdmin(inbox),
  add_super_admin: ({ group, inbox }) => conv(group).addSuperAdmin(inbox),
  remove_super_admin: ({ group, inbox }) => conv(group).removeSuperAdmin(inbox),
  send: async ({ group, text, queued }) => ({ message: await conv(group).sendText(text, queued ?? false) }),
  publish: ({ group }) => conv(group).publishMessages(),
  async sync({ group }) {
    await c.conversations().sync();
    if (group) await conv(group).sync();
  },
  sync_all: async () => { await c.conversations().syncAll(); },
  texts: ({ group }) => stored(conv(group)),
  async info({ group }) {
    const g = conv(group);
    const messages = (await g.listEnrichedMessages()).filter((m) => m.content.type === 'Text');
    const { epoch, localCommitLog } = await g.debugInfo();
    return {
      epoch: Number(epoch), authenticator: epochAuthenticator(localCommitLog), members: await members(g), name: g.groupName(),
      admins: g.listAdmins(), super_admins: g.listSuperAdmins(), active: g.isActive(),
      messages: messages.map((m) => ({ id: m.id, text: m.content.text, sender: m.senderInboxId })),
    };
  },
  list: async () => Promise.all(c.conversations().list().map(async ({ conversation }) => ({
    group: conversation.id(),
    kind: (await conversation.groupMetadata()).conversationType() === xmtp.ConversationType.Dm ? 'dm' : 'group',
  }))),
  exit: () => setImmediate(() => process.exit(0)) && null,
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, ...fields } = JSON.parse(line);
  // Started in order, answered when done.
  Promise.resolve().then(() => operations[op](fields))
    .then((value) => ({ id, ok: value ?? null }), (e) => ({ id, error: String(e?.message ?? e) }))
    .then((answer) => process.stdout.write(JSON.stringify(answer) + '\n'));
}
process.exit(0);
