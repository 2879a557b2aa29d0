// Drives the official client and ours in the same conversations, and compares what both see after each scenario.
//   node together.mjs [--list] [name ...]
import { isDeepStrictEqual } from 'node:util';
import {
  xmtp, scenario, run, client, clients, wallet, ident, sign, passkey, contractWallet, chainId, backend, nodeUrl, hex, find, texts, members, epochAuthenticator, until, rejects,
  ok, eq, sleep, Failed,
} from './lib.mjs';
import { ours, unregistered } from './ours.mjs';

// ------------------------------------------------------------------ what a side sees
const texting = (all) => all.filter((m) => m.content.type === 'Text');
async function seenByOfficial(conv) {
  const messages = texting(await conv.listEnrichedMessages());
  const { epoch, localCommitLog } = await conv.debugInfo();
  return {
    epoch: Number(epoch),
    authenticator: epochAuthenticator(localCommitLog),
    members: await members(conv),
    name: conv.groupName(),
    admins: conv.listAdmins().sort(),
    super_admins: conv.listSuperAdmins().sort(),
    active: conv.isActive(),
    messages: messages.map((m) => ({ id: m.id, text: m.content.text, sender: m.senderInboxId })),
  };
}
async function seenByOurs(o, group) {
  const { epoch, authenticator, members, name, admins, super_admins, active, messages } = await o.call('info', { group });
  const bare = messages.map(({ id, text, sender }) => ({ id, text, sender }));
  return { epoch, authenticator: authenticator?.slice(0, 6), members: [...members].sort(), name, admins: [...admins].sort(), super_admins: [...super_admins].sort(), active, messages: bare };
}

/**
 * Waits until all sides agree on epoch, members, name, roles and messages of a group. Newcomers lack old messages: leave
 * them out; messages sent at the same time may stand in another order at their sender: compare the set.
 */
async function agree(group, officials, all, { messages = 'in order' } = {}) {
  let views;
  try {
    await until(async () => {
      views = {};
      for (const [i, c] of officials.entries()) views[`official ${i}`] = await seenByOfficial(await find(c, group));
      for (const [i, o] of all.entries()) {
        await o.call('sync', { group });
        views[`ours ${i}`] = await seenByOurs(o, group);
      }
      for (const v of Object.values(views)) {
        if (messages === 'left out') delete v.messages;
        if (messages === 'set') v.messages.sort((x, y) => (x.id < y.id ? -1 : 1));
      }
      const [first, ...rest] = Object.values(views);
      return rest.every((v) => isDeepStrictEqual(v, first));
    }, 'agreement', 20000, 300);
  } catch (e) {
    const [a, first] = Object.entries(views ?? {})[0] ?? [];
    for (const [b, other] of Object.entries(views ?? {})) {
      for (const key of Object.keys(other)) {
        if (!isDeepStrictEqual(other[key], first[key])) throw new Failed(`${key}: ${a} ${JSON.stringify(first[key])}, ${b} ${JSON.stringify(other[key])}`);
      }
    }
    throw e;
  }
}
/** Our client's texts after it heard of the group and read it. */
async function read(o, group) {
  await o.call('sync');
  await o.call('sync', { group });
  return o.call('texts', { group });
}
const send = (o, group, text) => o.call('send', { group, text });

// ------------------------------------------------------------------ groups
scenario('ours_creates', async () => {
  const [o, a] = [await ours(), await client()];
  const { group } = await o.call('create_group', { inboxes: [a.inboxId()], name: 'by ours' });
  await send(o, group, 'hello');
  const ga = await find(a, group);
  eq([ga.groupName(), ga.addedByInboxId(), await texts(ga)], ['by ours', o.inbox, ['hello']], 'joined by our welcome');
  await ga.sendText('hello yourself');
  eq(await read(o, group), ['hello', 'hello yourself'], 'we read the answer');
  await agree(group, [a], [o]);
});

scenario('official_creates', async () => {
  const [o, a] = [await ours(), await client()];
  const g = await a.conversations().createGroup([o.inbox], { groupName: 'by official' });
  await g.sendText('hello');
  eq(await read(o, g.id()), ['hello'], 'joined by its welcome');
  await send(o, g.id(), 'hello yourself');
  eq(await texts(g), ['hello', 'hello yourself'], 'it reads the answer');
  await agree(g.id(), [a], [o]);
});

scenario('rename_both_ways', async () => {
  const [o, a] = [await ours(), await client()];
  const g = await a.conversations().createGroup([o.inbox], { groupName: 'zero' });
  await read(o, g.id());
  await o.call('set_name', { group: g.id(), name: 'one' });
  await g.sync();
  eq(g.groupName(), 'one', 'renamed by ours');
  await g.updateGroupName('two');
  await o.call('sync', { group: g.id() });
  eq((await o.call('info', { group: g.id() })).name, 'two', 'renamed by the official client');
  await agree(g.id(), [a], [o]);
});

scenario('roles_both_ways', async () => {
  const [o, [a, b]] = [await ours(), await clients(2)];
  const { group } = await o.call('create_group', { inboxes: [a.inboxId(), b.inboxId()] });
  const ga = await find(a, group);
  await o.call('add_admin', { group, inbox: a.inboxId() });
  await ga.sync();
  ok(ga.isAdmin(a.inboxId()), 'ours makes an admin');
  await o.call('remove_admin', { group, inbox: a.inboxId() });
  await o.call('add_super_admin', { group, inbox: a.inboxId() });
  await ga.sync();
  eq([ga.isAdmin(a.inboxId()), ga.isSuperAdmin(a.inboxId())], [false, true], 'ours makes a super admin');
  await ga.addAdmin(b.inboxId());
  await ga.removeSuperAdmin(o.inbox);
  await o.call('sync', { group });
  await rejects(() => o.call('add_admin', { group, inbox: a.inboxId() }), 'we are no super admin any more');
  await agree(group, [a, b], [o]);
});

scenario('thirds_come_and_go', async () => {
  const [o, o2, [a, b]] = [await ours(), await ours(), await clients(2)];
  const { group } = await o.call('create_group', { inboxes: [a.inboxId()] });
  await o.call('add_super_admin', { group, inbox: a.inboxId() });
  const ga = await find(a, group);
  await o.call('add', { group, inboxes: [b.inboxId()] });
  await ga.sync();
  await ga.addMembers([o2.inbox]);
  await o.call('sync', { group }); // a message of the epoch before would not reach the newcomer
  await send(o, group, 'four of us');
  const gb = await find(b, group);
  eq([await texts(gb), await read(o2, group)], [['four of us'], ['four of us']], 'both newcomers read');
  await gb.sendText('from b');
  await send(o2, group, 'from ours too');
  await agree(group, [a, b], [o, o2]);
  await o.call('remove', { group, inboxes: [b.inboxId()] });
  await ga.sync();
  await ga.removeMembers([o2.inbox]);
  await gb.sync();
  await o2.call('sync', { group }).catch(() => {});
  eq([gb.isActive(), (await o2.call('info', { group })).active], [false, false], 'both are out');
  await rejects(() => send(o2, group, 'still here'), 'who is out cannot send');
  await agree(group, [a], [o]);
});

scenario('removed_and_added_again', async () => {
  const [o, a] = [await ours(), await client()];
  const g = await a.conversations().createGroup([o.inbox]);
  await g.sendText('before');
  eq(await read(o, g.id()), ['before'], 'joined');
  await g.removeMembers([o.inbox]);
  await g.sendText('without you');
  await o.call('sync', { group: g.id() }).catch(() => {});
  eq((await o.call('info', { group: g.id() })).active, false, 'out');
  await g.addMembers([o.inbox]);
  await g.sendText('welcome back');
  eq(await read(o, g.id()), ['before', 'welcome back'], 'in again');
  await send(o, g.id(), 'thanks');
  eq((await texts(g)).at(-1), 'thanks', 'and heard');
  await agree(g.id(), [a], [o], { messages: 'left out' });
});

scenario('pointer_from_official', async () => {
  const [o, [a, ...rest]] = [await ours(), await clients(5)];
  const g = await a.conversations().createGroup([o.inbox, ...rest.map((c) => c.inboxId())]);
  await g.sendText('hello all');
  eq(await read(o, g.id()), ['hello all'], 'joined by a welcome pointer');
  await send(o, g.id(), 'hello from ours');
  await agree(g.id(), [a, rest[0]], [o]);
});

scenario('pointer_from_ours', async () => {
  const [o, o2, all] = [await ours(), await ours(), await clients(4)];
  const { group } = await o.call('create_group', { inboxes: [o2.inbox, ...all.map((c) => c.inboxId())] });
  await send(o, group, 'hello all');
  for (const c of all) eq(await texts(await find(c, group)), ['hello all'], 'joined by our welcome pointer');
  await (await find(all[3], group)).sendText('hello yourselves');
  await agree(group, all.slice(0, 2), [o, o2]);
});

scenario('concurrent_commits', async () => {
  const [o, [a, b]] = [await ours(), await clients(2)];
  const g = await a.conversations().createGroup([o.inbox, b.inboxId()]);
  const gb = await find(b, g.id());
  await read(o, g.id());
  for (let round = 0; round < 3; round++) {
    // Who loses the race builds its commit again on the new epoch; a caller may be told that this is still going on.
    await Promise.allSettled([
      o.call('set_name', { group: g.id(), name: `name ${round}` }),
      g.updateGroupDescription(`description ${round}`),
      gb.updateGroupImageUrlSquare(`https://example.org/${round}`),
    ]);
    await until(async () => {
      await o.call('sync', { group: g.id() }).catch(() => {});
      for (const x of [g, gb]) await x.sync().catch(() => {});
      return [g, gb].every((x) => isDeepStrictEqual([x.groupName(), x.groupDescription(), x.groupImageUrlSquare()],
        [`name ${round}`, `description ${round}`, `https://example.org/${round}`]));
    }, `all three commits of round ${round} to land`, 30000);
  }
  await agree(g.id(), [a, b], [o]);
});

scenario('concurrent_messages_and_commits', async () => {
  const [o, a] = [await ours(), await client()];
  const { group } = await o.call('create_group', { inboxes: [a.inboxId()] });
  const ga = await find(a, group);
  const work = [];
  for (let i = 0; i < 5; i++) {
    work.push(send(o, group, `o${i}`), ga.sendText(`a${i}`), o.call('set_name', { group, name: `n${i}` }));
  }
  await Promise.allSettled(work);
  await until(async () => (await read(o, group)).length === 10 && (await texts(ga)).length === 10, 'ten messages on both sides', 30000);
  await agree(group, [a], [o], { messages: 'set' });
});

scenario('many_messages', async () => {
  const [o, a] = [await ours(), await client()];
  const { group } = await o.call('create_group', { inboxes: [a.inboxId()] });
  const ga = await find(a, group);
  for (let i = 0; i < 220; i++) await ga.sendText(`a${i}`, true);
  await ga.publishMessages();
  eq((await read(o, group)).at(-1), 'a219', 'more than two pages read by ours');
  for (let i = 0; i < 220; i++) await o.call('send', { group, text: `o${i}`, queued: true });
  await o.call('publish', { group });
  eq((await texts(ga)).at(-1), 'o219', 'and by the official client');
  await agree(group, [a], [o]);
});

scenario('ours_restarts', async () => {
  const [first, a] = [await ours(), await client()];
  const g = await a.conversations().createGroup([first.inbox]);
  await g.sendText('one');
  await read(first, g.id());
  await send(first, g.id(), 'two');
  await first.exit();
  await g.sendText('three');
  await g.updateGroupName('while you were away');
  const o = await ours({ w: first.w, db: first.db });
  eq([o.inbox, o.installation], [first.inbox, first.installation], 'the same installation');
  eq(await o.call('texts', { group: g.id() }), ['one', 'two'], 'what was read is still there');
  eq(await read(o, g.id()), ['one', 'two', 'three'], 'what came meanwhile is read');
  await send(o, g.id(), 'four');
  eq((await texts(g)).at(-1), 'four', 'and it goes on');
  await agree(g.id(), [a], [o]);
});

// ------------------------------------------------------------------ direct messages
scenario('dm_by_ours', async () => {
  const [o, a] = [await ours(), await client()];
  const { group } = await o.call('create_dm', { inbox: a.inboxId() });
  await send(o, group, 'hi');
  await a.conversations().sync();
  const d = a.conversations().getDmByInboxId(o.inbox);
  eq([d.id(), d.dmPeerInboxId(), await texts(d)], [group, o.inbox, ['hi']], 'the official client finds it');
  await d.sendText('hi back');
  eq(await read(o, group), ['hi', 'hi back'], 'both ways');
  eq((await a.conversations().createDm(o.inbox)).id(), group, 'it begins no second one');
  await agree(group, [a], [o]);
});

scenario('dm_by_official', async () => {
  const [o, a] = [await ours(), await client()];
  const d = await a.conversations().createDm(o.inbox);
  await d.sendText('hi');
  await o.call('sync');
  eq((await o.call('create_dm', { inbox: a.inboxId() })).group, d.id(), 'we begin no second one');
  await send(o, d.id(), 'hi back');
  eq([await read(o, d.id()), await texts(d)], [['hi', 'hi back'], ['hi', 'hi back']], 'both ways');
  await agree(d.id(), [a], [o]);
});

scenario('dm_begun_by_both', async () => {
  const [o, a] = [await ours(), await client()];
  const d = await a.conversations().createDm(o.inbox);
  const { group } = await o.call('create_dm', { inbox: a.inboxId() });
  ok(group !== d.id(), 'two groups at first');
  await d.sendText('from official');
  await send(o, group, 'from ours');
  await o.call('sync_all');
  await a.conversations().syncAll();
  const both = ['from official', 'from ours'];
  const here = a.conversations().getDmByInboxId(o.inbox);
  const chosen = (await o.call('create_dm', { inbox: a.inboxId() })).group;
  eq([await texts(here), await read(o, chosen)], [both, both], 'one history on both sides');
  eq((await o.call('list')).filter((c) => c.kind === 'dm').length, 1, 'one conversation in our list');
  eq(chosen, here.id(), 'both sides choose the same group');
  await here.sendText('official again');
  await send(o, chosen, 'ours again');
  eq([(await texts(here)).slice(2), (await read(o, chosen)).slice(2)], [['official again', 'ours again'], ['official again', 'ours again']], 'and go on in it');
});

// ------------------------------------------------------------------ installations
scenario('our_second_installation', async () => {
  const w = wallet();
  const [o1, a] = [await ours({ w }), await client()];
  const g = await a.conversations().createGroup([o1.inbox]);
  await g.sendText('one');
  eq(await read(o1, g.id()), ['one'], 'first installation reads');
  const o2 = await ours({ w });
  eq([o2.inbox === o1.inbox, o2.installation === o1.installation], [true, false], 'same inbox, new installation');
  await sleep(5200); // the official client looks for new installations at most every five seconds
  await g.sendText('two');
  await until(async () => { await o2.call('sync'); return (await o2.call('list')).some((c) => c.group === g.id()); }, 'our second installation to be added');
  await g.sendText('three');
  ok((await read(o2, g.id())).includes('three'), 'second installation reads');
  await send(o2, g.id(), 'from the second');
  eq([(await texts(g)).at(-1), (await read(o1, g.id())).at(-1)], ['from the second', 'from the second'], 'and is heard');
  await agree(g.id(), [a], [o1]);
  await agree(g.id(), [a], [o1, o2], { messages: 'left out' });
});

scenario('official_second_installation', async () => {
  const w = wallet();
  const [o, a1] = [await ours(), await client(w)];
  const { group } = await o.call('create_group', { inboxes: [a1.inboxId()] });
  await send(o, group, 'one');
  const g1 = await find(a1, group);
  const a2 = await client(w);
  await sleep(5200); // so do we
  await send(o, group, 'two');
  const g2 = await until(() => find(a2, group), 'the official second installation to be added');
  await send(o, group, 'three');
  ok((await texts(g2)).includes('three'), 'second installation reads');
  await g2.sendText('from the second');
  eq([(await read(o, group)).at(-1), (await texts(g1)).at(-1)], ['from the second', 'from the second'], 'and is heard');
  await agree(group, [a1], [o]);
  await agree(group, [a1, a2], [o], { messages: 'left out' });
});

// ------------------------------------------------------------------ inboxes
const kinds = ['ethereum', 'passkey'];
const named = ({ identifier, identifierKind }) => ({ identifier, kind: kinds[identifierKind] });
const byName = (x, y) => (JSON.stringify(x) < JSON.stringify(y) ? -1 : 1);
const address = (w) => w.address.toLowerCase();

/** What the official client says of an inbox, fresh from the network, with everything that its bindings show. */
async function inboxByOfficial(c, inbox) {
  const [state] = await c.fetchInboxStatesByInboxIds([inbox], true);
  const updates = await c.fetchInboxUpdatesCount([inbox], true);
  return {
    inbox: state.inboxId,
    recovery: named(state.recoveryIdentifier),
    identifiers: state.identifiers.map(named).sort(byName),
    installations: state.installations.map((i) => ({ id: i.id, bytes: hex(i.bytes), client_timestamp_ns: i.clientTimestampNs === undefined ? null : String(i.clientTimestampNs) })).sort(byName),
    updates: updates[inbox],
  };
}
/** The same as our client sees it; and what the bindings do not show must fit. */
async function inboxByOurs(o, inbox, contracts) {
  const state = await o.call('inbox_state', { inbox });
  const of = (kind) => state.members.filter((m) => (m.member.kind === 'installation') === (kind === 'installation'));
  for (const m of state.members) {
    eq(m.added_by === null, m.client_timestamp_ns === null, 'only the identifier that created the inbox was added by nobody');
    const chain = contracts.some((c) => c.address === m.member.identifier) ? String(chainId) : null;
    eq(m.added_on_chain_id === null ? null : String(m.added_on_chain_id), chain, 'only contract wallets have a chain');
  }
  eq(state.members.filter((m) => m.added_by === null).length <= 1, true, 'at most one creator');
  return {
    inbox: state.inbox,
    recovery: state.recovery,
    identifiers: of('account').map((m) => m.member).sort(byName),
    installations: of('installation').map((m) => ({ id: m.member.identifier, bytes: m.member.identifier, client_timestamp_ns: m.client_timestamp_ns })).sort(byName),
    updates: state.updates,
  };
}
/** Both sides see the same of an inbox, field by field; answers it. */
async function sameInbox(c, o, inbox, what, contracts = []) {
  const [official, mine] = [await inboxByOfficial(c, inbox), await inboxByOurs(o, inbox, contracts)];
  for (const field of Object.keys(official)) eq(mine[field], official[field], `${what}: ${field}`);
  return official;
}

/** Signs what our driver wants signed, with these accounts, and publishes it. */
async function signed(o, { text, missing }, ...signers) {
  let left = missing;
  for (const signer of signers) {
    if (signer.assert) {
      const made = signer.assert(text);
      ({ missing: left } = await o.call('sign', { by: 'passkey', public_key: hex(made.publicKey), signature: hex(made.signature), authenticator_data: hex(made.authenticatorData), client_data_json: hex(made.clientDataJson) }));
    } else if (signer.signText) {
      ({ missing: left } = await o.call('sign', { by: 'contract', address: signer.address, chain_id: Number(chainId), signature: hex(await signer.signText(text)) }));
    } else {
      ({ missing: left } = await o.call('sign', { by: 'ethereum', signature: (await signer.signMessage(text)).slice(2) }));
    }
  }
  eq(left, [], 'nobody else has to sign');
  return o.call('apply');
}
const change = async (o, what, fields, ...signers) => signed(o, await o.call('change', { what, ...fields }), ...signers);

scenario('official_inbox_as_seen_by_ours', async () => {
  const [w, w2, w3] = [wallet(), wallet(), wallet()];
  const [a, o] = [await client(w), await ours()];
  const same = (what) => sameInbox(a, o, a.inboxId(), what);
  let seen = await same('registered');
  eq([seen.updates, seen.installations.length, seen.recovery.identifier], [1, 1, address(w)], 'one update, one installation');

  const add = await a.addIdentifierSignatureRequest(ident(w2));
  await sign(add, w2, 'add');
  await a.applySignatureRequest(add);
  seen = await same('second account added');
  eq(seen.identifiers.map((i) => i.identifier).sort(), [address(w), address(w2)].sort(), 'two accounts');

  const remove = await a.revokeIdentifierSignatureRequest(ident(w2));
  await sign(remove, w, 'remove');
  await a.applySignatureRequest(remove);
  eq((await same('second account removed')).identifiers.length, 1, 'one account');

  const recovery = await a.changeRecoveryIdentifierSignatureRequest(ident(w3));
  await sign(recovery, w, 'recovery');
  await a.applySignatureRequest(recovery);
  eq((await same('recovery changed')).recovery.identifier, address(w3), 'the new recovery identifier');

  const more = [];
  for (let i = 0; i < 3; i++) more.push(await client(w));
  eq((await same('more installations')).installations.length, 4, 'four installations');
  const one = await a.revokeInstallationsSignatureRequest([more[0].installationIdBytes()]);
  await sign(one, w3, 'revoke one');
  await a.applySignatureRequest(one);
  eq((await same('one revoked')).installations.length, 3, 'three left');
  const rest = await a.revokeAllOtherInstallationsSignatureRequest();
  await sign(rest, w3, 'revoke others');
  await a.applySignatureRequest(rest);
  seen = await same('all others revoked');
  eq([seen.installations.map((i) => i.id), seen.updates], [[a.installationId()], 9], 'only one left, after nine updates');
});

scenario('our_inbox_as_seen_by_official', async () => {
  const [w, w2, w3] = [wallet(), wallet(), wallet()];
  const [o, a] = [await ours({ w }), await client()];
  const same = (what) => sameInbox(a, o, o.inbox, what);
  eq((await same('registered')).updates, 1, 'one update');
  await change(o, 'add', { identifier: w2.address }, w2); // a mixed-case address, as people paste it
  let seen = await same('second account added');
  eq(seen.identifiers.map((i) => i.identifier).sort(), [address(w), address(w2)].sort(), 'two accounts, in lower case');
  eq(await xmtp.getInboxIdByIdentity(await backend(), ident(w2)), o.inbox, 'the second account resolves');
  await change(o, 'remove', { identifier: address(w2) }, w);
  await same('second account removed');
  eq(await xmtp.getInboxIdByIdentity(await backend(), ident(w2)), null, 'and no more');
  await change(o, 'recovery', { identifier: address(w3) }, w);
  eq((await same('recovery changed')).recovery.identifier, address(w3), 'the new recovery identifier');

  const more = [];
  for (let i = 0; i < 5; i++) more.push(await ours({ w }));
  eq((await same('more installations')).installations.length, 6, 'six installations');
  await change(o, 'revoke', { installations: [more[0].installation] }, w3);
  eq((await same('one revoked')).installations.length, 5, 'five left');
  await change(o, 'revoke', { installations: [more[1].installation, more[2].installation] }, w3);
  eq((await same('several revoked')).installations.length, 3, 'three left');
  await change(o, 'revoke_others', {}, w3);
  eq((await same('all others revoked')).installations.map((i) => i.id), [o.installation], 'only one left');
  eq(await o.call('change', { what: 'revoke_others' }), null, 'nothing more to revoke');
});

scenario('revocation_without_a_client', async () => {
  const [w, w2] = [wallet(), wallet()];
  const [o, more, a, b] = [await ours({ w }), await ours({ w }), await client(w2), await client(w2)];
  // Ours, of the inbox of the official client; then the reverse. Neither knows the inbox.
  const stranger = await ours();
  await change(stranger, 'revoke_unaided', { node: nodeUrl, inbox: a.inboxId(), identifier: address(w2), installations: [b.installationId()] }, w2);
  eq((await sameInbox(a, o, a.inboxId(), 'revoked by ours')).installations.map((i) => i.id), [a.installationId()], 'one left');
  const request = await xmtp.revokeInstallationsSignatureRequest(await backend(), ident(w), o.inbox, [Buffer.from(more.installation, 'hex')]);
  await sign(request, w, 'static');
  await xmtp.applySignatureRequest(await backend(), request);
  eq((await sameInbox(a, o, o.inbox, 'revoked by the official client')).installations.map((i) => i.id), [o.installation], 'one left');
});

scenario('passkey_accounts_both_ways', async () => {
  const [w, w2, pk, pk2] = [wallet(), wallet(), passkey(), passkey()];
  const [o, a] = [await ours({ w }), await client(w2)];
  const add = await a.addIdentifierSignatureRequest(pk.id);
  await pk.sign(add, a.inboxId(), 'add');
  await a.applySignatureRequest(add);
  let seen = await sameInbox(a, o, a.inboxId(), 'added by the official client');
  ok(seen.identifiers.some((i) => i.kind === 'passkey' && i.identifier === pk.id.identifier), 'ours sees the passkey');
  await change(o, 'add', named(pk2.id), pk2);
  seen = await sameInbox(a, o, o.inbox, 'added by ours');
  ok(seen.identifiers.some((i) => i.kind === 'passkey' && i.identifier === pk2.id.identifier), 'the official client sees the passkey');
  eq(Object.values(await a.canMessage([pk2.id])), [true], 'and can write to it');
  eq(await o.call('can_message', { names: [named(pk.id)] }), { [pk.id.identifier]: true }, 'as ours to the other');
  // An inbox of its own, made with nothing but a passkey.
  const pk3 = passkey();
  const other = await unregistered(named(pk3.id));
  const made = await signed(other, other.unsigned, pk3);
  seen = await sameInbox(a, o, made.inbox, 'registered with a passkey');
  eq(seen.recovery, named(pk3.id), 'made by it');
  const g = await a.conversations().createGroup([made.inbox]);
  await g.sendText('to a passkey account');
  eq(await read(other, g.id()), ['to a passkey account'], 'which receives');
});

scenario('contract_wallets_both_ways', async () => {
  const [k, k2, k3] = [await contractWallet(), await contractWallet(), await contractWallet()];
  const contracts = [k, k2, k3];
  const [a, o] = [await client(), await ours()];
  // An inbox of the official client, whose only account is a contract.
  const inbox = xmtp.generateInboxId(k.id, 1n);
  const b = await xmtp.createClientWithBackend(await backend(), {}, inbox, k.id, 'Disabled', { level: process.env.XMTP_LOG ?? 'Off' }, false, 1n);
  const request = await b.createInboxSignatureRequest();
  await k.sign(request, 'register');
  await b.registerIdentity(request);
  let seen = await sameInbox(a, o, inbox, 'registered by the official client', contracts);
  eq(seen.identifiers, [named(k.id)], 'ours sees the contract');
  const { group } = await o.call('create_group', { inboxes: [inbox] });
  await send(o, group, 'to a contract');
  eq(await texts(await find(b, group)), ['to a contract'], 'which receives');

  // One of ours, registered and changed by contracts; the chain is asked by the node, at its newest block.
  const other = await unregistered(named(k2.id));
  await rejects(() => signed(other, other.unsigned, { ...k2, signText: k3.signText }), 'a signature by another key');
  const made = await signed(other, other.unsigned, k2);
  seen = await sameInbox(a, o, made.inbox, 'registered by ours', contracts);
  eq([seen.identifiers, seen.recovery], [[named(k2.id)], named(k2.id)], 'the official client sees the contract');
  await change(other, 'add', named(k3.id), k3);
  seen = await sameInbox(b, o, made.inbox, 'added by ours', contracts);
  eq(seen.identifiers.length, 2, 'both contracts');
  const g = await b.conversations().createGroup([made.inbox]);
  await g.sendText('from contract to contract');
  eq(await read(other, g.id()), ['from contract to contract'], 'which receives too');
  await agree(g.id(), [b], [other]);
});

scenario('installations_of_both_kinds_in_one_inbox', async () => {
  const [w, w2] = [wallet(), wallet()];
  const [a, o2] = [await client(w), await ours({ w: w2 })];
  const [o, a2] = [await ours({ w }), await client(w2)];
  eq([o.inbox, a2.inboxId()], [a.inboxId(), o2.inbox], 'each joins the inbox that the other made');
  const ids = (seen) => seen.installations.map((i) => i.id);
  eq(ids(await sameInbox(a, o, o.inbox, 'made by the official client')), [a.installationId(), o.installation].sort(), 'two installations');
  eq(ids(await sameInbox(a2, o2, o2.inbox, 'made by ours')), [a2.installationId(), o2.installation].sort(), 'two installations');
  const friend = await client();
  const g = await friend.conversations().createGroup([o.inbox, o2.inbox]);
  await g.sendText('to all four');
  for (const c of [a, a2]) eq(await texts(await find(c, g.id())), ['to all four'], 'the official installation reads');
  for (const c of [o, o2]) eq(await read(c, g.id()), ['to all four'], 'ours reads');
  await change(o, 'revoke', { installations: [a.installationId()] }, w);
  eq(ids(await sameInbox(friend, o, o.inbox, 'ours revokes')), [o.installation], 'ours is left');
  const others = await a2.revokeAllOtherInstallationsSignatureRequest();
  await sign(others, w2, 'others');
  await a2.applySignatureRequest(others);
  eq(ids(await sameInbox(a2, o, a2.inboxId(), 'the official client revokes')), [a2.installationId()], 'the official one is left');
});

scenario('eleventh_installation_is_refused_by_both', async () => {
  const w = wallet();
  const all = [];
  for (let i = 0; i < 5; i++) all.push(await ours({ w }), await client(w));
  await rejects(() => client(w), 'an eleventh official installation');
  await rejects(() => ours({ w }), 'an eleventh one of ours');
  await change(all[0], 'revoke', { installations: [all[1].installationId()] }, w);
  const one = await ours({ w });
  eq((await sameInbox(all[3], one, one.inbox, 'full again')).installations.length, 10, 'one had room');
});

scenario('our_second_inbox_of_an_account', async () => {
  const w = wallet();
  const [old, friend] = [await ours({ w }), await client()];
  const { text, missing } = await unregistered(named(ident(w))).then((o) => { o.exit(); return o.unsigned; });
  eq([text.includes(old.inbox), missing.length], [true, 1], 'without asking for more it is the known inbox');
  const again = await unregistered(named(ident(w)), { new_inbox: 7 });
  const made = await signed(again, again.unsigned, w);
  eq(made.inbox, xmtp.generateInboxId(ident(w), 7n), 'a second inbox');
  eq(await xmtp.getInboxIdByIdentity(await backend(), ident(w)), made.inbox, 'the account is found there from now on');
  await sameInbox(friend, old, made.inbox, 'the new one');
  await sameInbox(friend, again, old.inbox, 'the old one');
  const g = await friend.conversations().createGroup([made.inbox]);
  await g.sendText('moved');
  eq(await read(again, g.id()), ['moved'], 'and reached');
});

scenario('can_message_both_ways', async () => {
  const [o, a, stranger] = [await ours(), await client(), wallet()];
  const official = await a.canMessage([ident(o.w), ident(stranger)]);
  eq([official[address(o.w)], official[address(stranger)]], [true, false], 'as the official client sees it');
  const mine = await o.call('can_message', { names: [a.accountIdentifier, ident(stranger)].map(named) });
  eq([mine[a.accountIdentifier.identifier], mine[address(stranger)]], [true, false], 'as ours sees it');
  await rejects(() => o.call('can_message', { names: [{ identifier: '0x12' }] }), 'what is no address fails the call');
});

scenario('texts_signed_by_installations', async () => {
  const [o, a] = [await ours(), await client()];
  const text = 'sub rosa, unter der Rose, 薔薇の下で';
  const mine = Buffer.from(await o.call('sign_text', { text }), 'hex');
  xmtp.verifySignedWithPublicKey(text, mine, Buffer.from(o.installation, 'hex'));
  await rejects(async () => xmtp.verifySignedWithPublicKey(`${text}.`, mine, Buffer.from(o.installation, 'hex')), 'another text');
  const verify = (signature, over) => o.call('verify_text', { text: over, signature: hex(signature), installation: a.installationId() });
  const official = a.signWithInstallationKey(text);
  eq([await verify(official, text), await verify(official, `${text}.`), await verify(mine, text)], [true, false, false], 'verified by ours');
});

scenario('key_packages_of_the_other_side', async () => {
  const [o, a] = [await ours(), await client()];
  const official = (await a.fetchKeyPackageStatusesByInstallationIds([o.installation]))[o.installation];
  const own = (await o.call('key_packages', { inbox: o.inbox, installations: [o.installation] }))[o.installation];
  eq([Number(official.lifetime.notBefore), Number(official.lifetime.notAfter), official.validationError ?? null], [own.not_before, own.not_after, null], 'ours is valid, as long as we say');
  const theirs = (await a.fetchKeyPackageStatusesByInstallationIds([a.installationId()]))[a.installationId()];
  const seen = (await o.call('key_packages', { inbox: a.inboxId(), installations: [a.installationId()] }))[a.installationId()];
  eq([seen.not_before, seen.not_after], [Number(theirs.lifetime.notBefore), Number(theirs.lifetime.notAfter)], 'theirs too');
  const nobody = '00'.repeat(32);
  ok((await o.call('key_packages', { inbox: a.inboxId(), installations: [nobody] }))[nobody].unusable, 'nobody has none');
  ok((await a.fetchKeyPackageStatusesByInstallationIds([nobody]))[nobody].validationError, 'on both sides');
});

process.exit((await run(process.argv.slice(2))) ? 1 : 0);
