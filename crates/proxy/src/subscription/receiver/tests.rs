//! What a proxy makes of the messages that it is sent.

use model::AccountId;
use model::gateway::GatewaySettings;
use model::id::GatewayInternalId;
use model::resource::{Body, Gateway};
use uuid::Uuid;

use super::*;

const ACCOUNT: AccountId = AccountId(Uuid::from_u128(0x1a));

fn revision(number: u64) -> Revision {
    Revision { timeline: Uuid::from_u128(1), number }
}

fn gateway(id: u128, slug: &str) -> Resource {
    let id = GatewayInternalId(Uuid::from_u128(id));
    let gateway = Gateway::of(id, slug.parse().unwrap(), &GatewaySettings::default());
    Resource { account: ACCOUNT, body: Body::Gateway(gateway) }
}

fn part(number: u64, resources: &[Resource], last_part: bool) -> ControlMessage {
    let resources = resources.iter().map(Resource::to_wire).collect();
    let state = FullState { revision: Some(revision(number).to_wire()), resources, last_part };
    ControlMessage { message: Some(Message::FullState(state)) }
}

fn delta(after: u64, number: u64, upserted: Vec<proto::Resource>) -> ControlMessage {
    let revision = Some(revision(number).to_wire());
    let delta = proto::Delta { revision, after, upserted, ..proto::Delta::default() };
    ControlMessage { message: Some(Message::Delta(delta)) }
}

impl Received {
    /// What is said of the snapshot that was replaced.
    fn served(self) -> Acknowledgement {
        match self {
            Received::Served(acknowledgement) => acknowledgement,
            other => panic!("expected a new snapshot: {other:?}"),
        }
    }
}

fn receiver() -> Receiver {
    Receiver::new(Arc::new(SnapshotHandle::from_pointee(Snapshot::empty())), None)
}

fn knows(receiver: &Receiver, slug: &str) -> bool {
    receiver.snapshot.load().gateway(ACCOUNT, slug).is_some()
}

/// A receiver that serves revision 5 with the gateway `demo`.
fn in_sync() -> Receiver {
    let mut receiver = receiver();
    receiver.receive(part(5, &[gateway(1, "demo")], true)).unwrap().served();
    receiver
}

#[test]
fn a_full_state_is_served_when_its_last_part_has_arrived() {
    let mut receiver = receiver();
    assert!(receiver.hello().serving.is_none());
    assert!(receiver.receive(part(5, &[gateway(1, "one")], false)).unwrap() == Received::Part);
    assert!(!knows(&receiver, "one"));
    let acknowledgement = receiver.receive(part(5, &[gateway(2, "two")], true)).unwrap().served();
    assert!(knows(&receiver, "one") && knows(&receiver, "two"));
    assert!(receiver.snapshot.load().is_current());
    assert_eq!(acknowledgement.serving, Some(revision(5).to_wire()));
    assert_eq!(receiver.hello().serving, Some(revision(5).to_wire()));
}

#[test]
fn deltas_are_applied_in_order() {
    let mut receiver = in_sync();
    receiver.receive(delta(5, 6, vec![gateway(2, "two").to_wire()])).unwrap().served();
    receiver.receive(delta(6, 9, vec![gateway(3, "three").to_wire()])).unwrap().served();
    assert!(knows(&receiver, "demo") && knows(&receiver, "two") && knows(&receiver, "three"));
    assert_eq!(receiver.snapshot.load().revision(), Some(revision(9)));
}

#[test]
fn a_gap_is_noticed_and_nothing_of_it_is_served() {
    let mut receiver = in_sync();
    let gap = receiver.receive(delta(7, 8, vec![gateway(2, "two").to_wire()])).unwrap_err();
    assert_eq!(gap, Gap::After { expected: Some(revision(5)), after: 7 });
    assert!(!knows(&receiver, "two"));
    assert_eq!(receiver.hello().serving, Some(revision(5).to_wire()));
}

#[test]
fn a_delta_of_another_timeline_is_a_gap() {
    let mut receiver = in_sync();
    let other = Revision { timeline: Uuid::from_u128(2), number: 6 };
    let delta = proto::Delta { revision: Some(other.to_wire()), after: 5, ..proto::Delta::default() };
    assert!(receiver.receive(ControlMessage { message: Some(Message::Delta(delta)) }).is_err());
}

fn answer(at: u64, account: AccountId, upserted: Vec<proto::Resource>) -> ControlMessage {
    let revision = Some(revision(at).to_wire());
    let answered = to_wire([account].into_iter());
    let delta = proto::Delta { revision, after: at, upserted, answered, ..proto::Delta::default() };
    ControlMessage { message: Some(Message::Delta(delta)) }
}

/// A receiver that serves revision 5, and knows no account.
fn narrowed() -> Receiver {
    let snapshot = Arc::new(SnapshotHandle::from_pointee(Snapshot::empty()));
    let mut receiver = Receiver::new(snapshot, Some(Arc::default()));
    receiver.receive(part(5, &[], true)).unwrap().served();
    receiver
}

#[test]
fn a_narrowed_proxy_knows_an_account_whole_or_not_at_all() {
    let mut receiver = narrowed();
    receiver.receive(delta(5, 6, vec![gateway(2, "two").to_wire()])).unwrap().served();
    assert!(!knows(&receiver, "two"));
    receiver.receive(answer(6, ACCOUNT, vec![gateway(1, "demo").to_wire()])).unwrap().served();
    assert!(knows(&receiver, "demo"));
    receiver.receive(delta(6, 7, vec![gateway(2, "two").to_wire()])).unwrap().served();
    assert!(knows(&receiver, "demo") && knows(&receiver, "two"));
    let narrowing = receiver.hello().narrowing.unwrap();
    assert_eq!(narrowing.account_ids, to_wire([ACCOUNT].into_iter()));
}

#[test]
fn an_account_that_nobody_used_for_a_day_is_forgotten_with_the_next_hello() {
    let mut receiver = narrowed();
    receiver.receive(answer(5, ACCOUNT, vec![gateway(1, "demo").to_wire()])).unwrap().served();
    assert!(!receiver.knows_idle_accounts(), "its day begins");
    let gateway = Arc::clone(receiver.snapshot.load().gateway(ACCOUNT, "demo").unwrap());
    receiver.snapshot.load().account(ACCOUNT).unwrap().used(1);
    assert!(receiver.knows_idle_accounts());
    assert!(receiver.hello().narrowing.unwrap().account_ids.is_empty());
    assert!(!knows(&receiver, "demo"));
    assert!(!gateway.deleted.is_cancelled(), "what still runs goes on");
}

#[test]
fn a_full_state_that_breaks_off_leaves_what_was_served() {
    let mut receiver = in_sync();
    receiver.receive(part(9, &[gateway(2, "two")], false)).unwrap();
    receiver.disconnected();
    assert!(knows(&receiver, "demo") && !knows(&receiver, "two"));
    receiver.receive(part(10, &[gateway(3, "three")], true)).unwrap().served();
    assert!(knows(&receiver, "three") && !knows(&receiver, "two") && !knows(&receiver, "demo"));
}

#[test]
fn who_is_disconnected_does_not_call_itself_current() {
    let mut receiver = in_sync();
    receiver.disconnected();
    assert!(!receiver.snapshot.load().is_current());
    assert!(knows(&receiver, "demo"));
    receiver.receive(delta(5, 5, vec![])).unwrap().served();
    assert!(receiver.snapshot.load().is_current());
}

#[test]
fn a_bad_resource_is_refused_alone_and_its_last_good_version_stays() {
    let mut receiver = in_sync();
    let mut bad = gateway(1, "demo").to_wire();
    let Some(proto::resource::Body::Gateway(body)) = &mut bad.body else { unreachable!() };
    body.slug = "Not A Slug".to_owned();
    let acknowledgement =
        receiver.receive(delta(5, 6, vec![bad, gateway(2, "two").to_wire()])).unwrap().served();
    assert!(knows(&receiver, "demo") && knows(&receiver, "two"));
    let [refused] = &acknowledgement.refused[..] else { panic!("expected one refusal") };
    assert_eq!(refused.key, gateway(1, "demo").to_wire().key);

    assert!(receiver.hello().serving.is_none(), "who refused something asks for everything again");
    let acknowledgement = receiver.receive(delta(6, 7, vec![])).unwrap().served();
    assert_eq!(acknowledgement.refused.len(), 1, "it is told until it is resolved");
    let good = delta(7, 8, vec![gateway(1, "renamed").to_wire()]);
    assert!(receiver.receive(good).unwrap().served().refused.is_empty());
    assert!(knows(&receiver, "renamed"));
}

#[test]
fn a_resource_that_needs_a_setting_we_do_not_obey_is_not_served_without_it() {
    let mut receiver = in_sync();
    let mut new = gateway(2, "guarded").to_wire();
    new.requires.push("guardrails".to_owned());
    let acknowledgement = receiver.receive(delta(5, 6, vec![new])).unwrap().served();
    assert!(!knows(&receiver, "guarded"));
    assert!(acknowledgement.refused[0].reason.contains("guardrails"));
}

#[test]
fn a_resource_of_a_kind_that_we_do_not_know_is_told_and_asked_for_again() {
    let mut receiver = in_sync();
    let key = proto::ResourceKey { kind: 99, account_id: ACCOUNT.0.as_bytes().to_vec(), id: "x".to_owned() };
    let unknown = proto::Resource { key: Some(key), requires: vec![], body: None };
    let acknowledgement = receiver.receive(delta(5, 6, vec![unknown])).unwrap().served();
    assert_eq!(acknowledgement.refused.len(), 1);
    assert_eq!(receiver.snapshot.load().revision(), Some(revision(6)));
    assert!(receiver.hello().serving.is_none());
}

#[test]
fn eras_are_told_on_without_a_new_snapshot() {
    let mut receiver = in_sync();
    assert!(receiver.hello().wants_eras);
    let eras = [(0, 1), (255, 7), (256, 1)].map(|(shard, era)| ShardEra { shard, era });
    let told = ControlMessage { message: Some(Message::Eras(Eras { eras: eras.to_vec() })) };
    // Also between the parts of a full state.
    assert_eq!(receiver.receive(part(9, &[gateway(2, "two")], false)).unwrap(), Received::Part);
    let told = receiver.receive(told).unwrap();
    assert_eq!(told, Received::Eras(vec![(Shard(0), 1), (Shard(255), 7)]));
    assert!(knows(&receiver, "demo"));
    receiver.receive(part(9, &[gateway(3, "three")], true)).unwrap().served();
    assert!(knows(&receiver, "two") && knows(&receiver, "three"));
}
