//! The protocol for money, looked at exhaustively.

mod calls;
mod calls_graph;
mod desk;
mod explorer;
mod faults;
mod invariants;
mod mutations;
mod proxies;
mod redis;
mod scene;
mod steps;
mod world;

use explorer::explore;
use mutations::Rules;
use scene::Scene;
use steps::{Kinds, Run};

fn explored(scene: Scene, faults: u8) {
    let began = std::time::Instant::now();
    let run = Run { scene, rules: Rules::default(), faults, kinds: Kinds::ALL };
    match explore(&run) {
        Ok(explored) => println!("{}: {explored:?} {:?}", scene.name, began.elapsed()),
        Err(violation) => panic!("{}: {violation:?}", scene.name),
    }
}

macro_rules! scenes {
    ($($name:ident $scene:ident)*) => { $(
        #[test]
        fn $name() {
            explored(scene::$scene, std::env::var("FAULTS").map_or(1, |f| f.parse().unwrap()));
        }
    )* };
}

scenes! { plain PLAIN stream STREAM lease LEASE carve CARVE limit LIMIT teller TELLER all ALL }

#[test]
fn discover() {
    let only = std::env::var("ONLY").ok();
    let kinds = [
        ("none", Kinds::NONE),
        ("unheard", Kinds { unheard: true, ..Kinds::NONE }),
        ("late", Kinds { late: true, ..Kinds::NONE }),
        ("wiped", Kinds { wiped: true, ..Kinds::NONE }),
        ("set_back", Kinds { set_back: true, ..Kinds::NONE }),
        ("promoted", Kinds { promoted: true, ..Kinds::NONE }),
        ("killed", Kinds { killed: true, ..Kinds::NONE }),
        ("desk_crash", Kinds { desk_crash: true, ..Kinds::NONE }),
        ("two_desks", Kinds { two_desks: true, ..Kinds::NONE }),
        ("cut_off", Kinds { cut_off: true, ..Kinds::NONE }),
    ];
    for mutation in mutations::EVERY {
        if only.as_ref().is_some_and(|only| *only != format!("{mutation:?}")) {
            continue;
        }
        let found = kinds.iter().find_map(|(name, kinds)| {
            [scene::PLAIN, scene::TELLER, scene::STREAM, scene::LEASE, scene::CARVE, scene::LIMIT]
                .into_iter()
                .find_map(|scene| {
                    let began = std::time::Instant::now();
                    let run = Run { scene, rules: Rules(Some(*mutation)), faults: 1, kinds: *kinds };
                    let violation = explore(&run).err()?;
                    println!(
                        "{mutation:?}: {} {name} {:?} {:?} {:?}",
                        scene.name,
                        violation.invariant,
                        violation.trace,
                        began.elapsed()
                    );
                    Some(())
                })
        });
        if found.is_none() {
            println!("{mutation:?}: NOT CAUGHT");
        }
    }
}

#[test]
fn graph() {
    for scene in [scene::PLAIN, scene::TELLER, scene::STREAM, scene::LEASE, scene::CARVE, scene::LIMIT] {
        let mut graph = calls_graph::Graph::default();
        graph.add(&Run { scene, rules: Rules::default(), faults: 1, kinds: Kinds::ALL });
        println!("{}", scene.name);
        graph.measure();
    }
}
