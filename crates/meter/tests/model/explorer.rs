//! Looks at every world that can come to be, breadth first, so that the way to a violation is a
//! shortest one. Worlds are told apart by 64 bits of their contents: with a million of them, two are
//! taken for one with a chance of one in thirty million.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::invariants::{Invariant, violated};
use crate::steps::{Next, Run, Step, Ways};
use crate::world::World;

/// What was looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Explored {
    pub worlds: usize,
    pub steps: usize,
    pub ends: usize,
    pub depth: u32,
}

/// A way into a world that must not be.
pub(crate) struct Violation {
    pub invariant: Invariant,
    pub trace: Vec<Step>,
    pub world: Box<World>,
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} does not hold after", self.invariant)?;
        self.trace.iter().try_for_each(|step| write!(f, " > {step:?}"))?;
        write!(f, "\n{:?}", self.world)
    }
}

/// Explores everything, or until something is wrong. Whether everything ends is only looked at under at
/// most one fault.
pub(crate) fn explore(run: &Run) -> Result<Explored, Violation> {
    Exploration::default().run(run, |_, _| ())
}

/// The same, showing every step.
pub(crate) fn explore_showing(run: &Run, show: impl FnMut(&World, &Next)) -> Result<Explored, Violation> {
    Exploration::default().run(run, show)
}

#[derive(Default)]
struct Exploration {
    seen: HashMap<u64, u32, BuildHasherDefault<Identity>>,
    /// How each world was reached first.
    from: Vec<(u32, Step)>,
    /// Steps between worlds that are not faults, for looking whether everything ends.
    steps: Vec<(u32, u32)>,
    ends: Vec<u32>,
}

impl Exploration {
    fn run(mut self, run: &Run, mut show: impl FnMut(&World, &Next)) -> Result<Explored, Violation> {
        let mut explored = Explored::default();
        let mut is_cut_off = false;
        let mut queue = VecDeque::new();
        self.reach(World::of(&run.scene), 0, Step::Start, 0, &mut queue);
        while let Some((number, depth, world)) = queue.pop_front() {
            explored.depth = explored.depth.max(depth);
            if depth == run.deepest {
                is_cut_off = true;
                continue;
            }
            let ways = Ways::from(&world, run);
            let goes_on = ways.iter().any(|next| next.world.harm.faults == world.harm.faults);
            if !goes_on {
                self.ends.push(number);
            }
            if let Some(invariant) = violated(&world, run, !goes_on) {
                return Err(Violation { invariant, trace: self.trace(number), world: Box::new(world) });
            }
            explored.steps += ways.len();
            for next in ways {
                show(&world, &next);
                let is_fault = next.world.harm.faults != world.harm.faults;
                let reached = self.reach(next.world, number, next.step, depth + 1, &mut queue);
                if !is_fault && run.faults < 2 {
                    self.steps.push((number, reached));
                }
            }
        }
        explored.worlds = self.from.len();
        explored.ends = self.ends.len();
        if run.faults > 1 {
            return Ok(explored);
        }
        match self.endless() {
            None => Ok(explored),
            Some(_) if is_cut_off => Ok(explored),
            Some(number) => {
                let trace = self.trace(number);
                let world = follow(run, &trace);
                Err(Violation { invariant: Invariant::Ends, trace, world: Box::new(world) })
            }
        }
    }

    fn reach(
        &mut self,
        world: World,
        from: u32,
        step: Step,
        depth: u32,
        queue: &mut VecDeque<(u32, u32, World)>,
    ) -> u32 {
        let next = self.from.len() as u32;
        let number = *self.seen.entry(fingerprint(&world)).or_insert(next);
        if number == next {
            self.from.push((from, step));
            queue.push_back((number, depth, world));
        }
        number
    }

    fn trace(&self, mut number: u32) -> Vec<Step> {
        let mut trace = Vec::new();
        while number != 0 {
            let (from, step) = self.from[number as usize];
            trace.push(step);
            number = from;
        }
        trace.reverse();
        trace
    }

    /// A world from which no end can be reached without another fault.
    fn endless(&mut self) -> Option<u32> {
        let mut ends = vec![false; self.from.len()];
        let mut towards: Vec<(u32, u32)> = self.steps.iter().map(|(from, to)| (*to, *from)).collect();
        towards.sort_unstable();
        let mut open = self.ends.clone();
        while let Some(number) = open.pop() {
            if std::mem::replace(&mut ends[number as usize], true) {
                continue;
            }
            let first = towards.partition_point(|(to, _)| *to < number);
            let before = towards[first..].iter().take_while(|(to, _)| *to == number);
            open.extend(before.map(|(_, from)| *from).filter(|from| !ends[*from as usize]));
        }
        ends.iter().position(|ends| !ends).map(|number| number as u32)
    }
}

/// The world at the end of a trace.
pub(crate) fn follow(run: &Run, trace: &[Step]) -> World {
    let mut world = World::of(&run.scene);
    for step in trace {
        let Some(next) = Ways::from(&world, run).into_iter().find(|next| next.step == *step) else {
            return world;
        };
        world = next.world;
    }
    world
}

pub(crate) fn fingerprint(world: &World) -> u64 {
    let mut hasher = Fingerprint::default();
    world.hash(&mut hasher);
    hasher.finish()
}

/// Two multiplications a word: a world is some hundred small words, and a build without optimisation
/// has to hash millions of worlds.
#[derive(Default)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    fn word(&mut self, word: u64) {
        let mixed = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 29);
    }
}

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        mixed ^ (mixed >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.word(u64::from(word));
    }

    fn write_i16(&mut self, word: i16) {
        self.word(word as u64);
    }

    fn write_usize(&mut self, word: usize) {
        self.word(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.word(word as u64);
    }
}

/// Fingerprints are mixed already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}
