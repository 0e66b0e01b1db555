//! Any sequence of operations, cut anywhere, leaves every open or closed record exactly once.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::map::CHUNK;
use super::*;
use crate::samples::record;

#[derive(Debug, Clone)]
enum Step {
    Open,
    Close(prop::sample::Index),
    Refuse,
    Post(prop::sample::Index),
    Die,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Open),
        3 => any::<prop::sample::Index>().prop_map(Step::Close),
        1 => Just(Step::Refuse),
        2 => any::<prop::sample::Index>().prop_map(Step::Post),
        1 => Just(Step::Die),
    ]
}

fn start(directory: &Path) -> (Spool, Vec<Kept>) {
    Spool::start(directory, CHUNK as u64).unwrap()
}

fn read(spool: &Spool, slot: &Slot) -> UsageRecord {
    record::read(spool.map.area(slot, Area::Closed)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_open_or_closed_is_there_once_after_any_death(steps in prop::collection::vec(step(), 1..60)) {
        let directory = tempfile::tempdir().unwrap();
        let (mut spool, _) = start(directory.path());
        let (mut open, mut closed, mut next) = (Vec::new(), Vec::new(), 0_u128);
        let mut expected = BTreeMap::new();
        for step in steps.into_iter().chain([Step::Die]) {
            match step {
                Step::Open => {
                    next += 1;
                    let record = record(next);
                    expected.insert(record.id, Outcome::Abandoned);
                    open.push((record.id, spool.open(&record).unwrap()));
                }
                Step::Close(index) if !open.is_empty() => {
                    let (id, mut slot) = open.swap_remove(index.index(open.len()));
                    let answered = UsageRecord { id, outcome: Outcome::HungUp, ..record(1) };
                    spool.close(&mut slot, &answered, None);
                    expected.insert(id, Outcome::HungUp);
                    closed.push((id, slot));
                }
                Step::Refuse => {
                    next += 1;
                    let refused = UsageRecord { outcome: Outcome::Refused, ..record(next) };
                    expected.insert(refused.id, Outcome::Refused);
                    closed.push((refused.id, spool.record(&refused).unwrap()));
                }
                Step::Post(index) if !closed.is_empty() => {
                    let (id, slot) = closed.swap_remove(index.index(closed.len()));
                    expected.remove(&id);
                    spool.free(slot);
                }
                Step::Die => {
                    drop(spool);
                    let (again, kept) = start(directory.path());
                    let found: Vec<_> = kept.iter().map(|kept| read(&again, &kept.slot)).map(|r| (r.id, r.outcome)).collect();
                    prop_assert_eq!(found.len(), expected.len());
                    prop_assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), expected.clone());
                    spool = again;
                    open.clear();
                    closed = kept.into_iter().map(|kept| (read(&spool, &kept.slot).id, kept.slot)).collect();
                }
                Step::Close(_) | Step::Post(_) => (),
            }
        }
    }

    #[test]
    fn a_record_of_any_length_keeps_its_figures(lengths in prop::array::uniform6(0_usize..6000)) {
        let directory = tempfile::tempdir().unwrap();
        let (spool, _) = start(directory.path());
        let text = |length: usize| "x".repeat(length);
        let long = UsageRecord {
            metadata: format!(r#"{{"team":"{}"}}"#, text(lengths[0])),
            user_agent: text(lengths[1]),
            path: text(lengths[2]),
            event_id: text(lengths[3]),
            model_asked: text(lengths[4]),
            model_served: text(lengths[5]),
            ..record(1)
        };
        let slot = spool.record(&long).unwrap();
        let kept = read(&spool, &slot);
        if kept != long {
            prop_assert!(kept.metadata.starts_with(r#"{"tollgate.omitted":"metadata"#), "{}", kept.metadata);
        }
        prop_assert_eq!((kept.id, kept.tokens, kept.cost, kept.gateway_slug), (long.id, long.tokens, long.cost, long.gateway_slug));
    }
}

#[test]
fn a_half_written_close_leaves_the_open_record() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = start(directory.path());
    let mut slot = spool.open(&record(1)).unwrap();
    // All of the closed record but the word that publishes it.
    record::write(spool.map.area_mut(&mut slot, Area::Closed), &record(2), None);
    drop(spool);
    let (spool, kept) = start(directory.path());
    assert_eq!(kept.len(), 1);
    assert!(kept[0].abandoned);
    assert_eq!(read(&spool, &kept[0].slot).id, record(1).id);
}

#[test]
fn a_closed_record_torn_by_a_power_cut_falls_back_to_the_open_one() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = start(directory.path());
    let mut slot = spool.open(&record(1)).unwrap();
    spool.close(&mut slot, &record(1), None);
    spool.map.area_mut(&mut slot, Area::Closed)[20] ^= 1;
    drop(spool);
    let (spool, kept) = start(directory.path());
    assert_eq!(read(&spool, &kept[0].slot).outcome, Outcome::Abandoned);
}

#[test]
fn a_full_spool_says_so_and_takes_again_what_was_freed() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = start(directory.path());
    let mut slots: Vec<_> = (0..spool.capacity()).map(|_| spool.open(&record(1)).unwrap()).collect();
    assert_eq!(spool.open(&record(2)), Err(SpoolFull));
    spool.free(slots.pop().unwrap());
    assert!(spool.open(&record(3)).is_ok());
}

#[test]
fn one_process_has_the_spool() {
    let directory = tempfile::tempdir().unwrap();
    let held = start(directory.path());
    assert!(matches!(Spool::start(directory.path(), CHUNK as u64), Err(SpoolError::InUse(_))));
    drop(held);
    start(directory.path());
}

#[test]
fn a_spool_grows_up_to_its_bound_and_is_read_whole_with_a_lower_one() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::start(directory.path(), 3 * CHUNK as u64).unwrap();
    let one = map::SLOTS;
    let slots: Vec<_> = (0..one + 5).map(|_| spool.open(&record(1)).unwrap()).collect();
    assert_eq!(std::fs::metadata(directory.path().join("spool")).unwrap().len(), 2 * CHUNK as u64);
    drop((spool, slots));
    let (_, kept) = start(directory.path());
    assert_eq!(kept.len(), one + 5);
}

#[test]
fn nobody_else_can_read_the_spool() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    let _spool = start(directory.path());
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
