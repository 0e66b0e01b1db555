//! The calls that an exploration makes, as a graph of what Redis has.

use std::collections::{HashMap, VecDeque};

use crate::calls::{Answer, Call};
use crate::explorer::explore_showing;
use crate::redis::Redis;
use crate::steps::Run;
use crate::world::World;

/// What Redis can have, and what each call makes of it.
#[derive(Default)]
pub struct Graph {
    pub nodes: Vec<Redis>,
    pub edges: Vec<Edge>,
    numbers: HashMap<Redis, u32>,
    known: HashMap<(u32, Call), u32>,
    /// The edge by which a node is reached first, and after how many calls.
    pub via: Vec<Option<u32>>,
    pub depth: Vec<u32>,
}

pub struct Edge {
    pub from: u32,
    pub to: u32,
    pub call: Call,
    pub answer: Answer,
}

impl Graph {
    /// Adds what a run explores.
    pub fn add(&mut self, run: &Run) {
        let root = self.node(&World::of(&run.scene).redis);
        let _ = root;
        explore_showing(run, |before, next| {
            let Some(made) = &next.made else { return };
            let redis = if made.old { before.old.as_deref().unwrap_or(&before.redis) } else { &before.redis };
            let from = self.node(redis);
            if self.known.contains_key(&(from, made.call.clone())) {
                return;
            }
            let mut after = redis.clone();
            let answer = after.call(&made.call, run.rules);
            assert_eq!(answer, made.answer);
            let to = self.node(&after);
            let number = self.edges.len() as u32;
            self.known.insert((from, made.call.clone()), number);
            self.edges.push(Edge { from, to, call: made.call.clone(), answer });
        })
        .unwrap();
    }

    fn node(&mut self, redis: &Redis) -> u32 {
        let mut redis = redis.clone();
        redis.era = 1;
        let next = self.nodes.len() as u32;
        let number = *self.numbers.entry(redis.clone()).or_insert(next);
        if number == next {
            self.nodes.push(redis);
        }
        number
    }

    /// Nodes that no call leads to are where eras begin.
    pub fn measure(&mut self) {
        let mut out: Vec<Vec<u32>> = vec![Vec::new(); self.nodes.len()];
        let mut entered = vec![false; self.nodes.len()];
        for (number, edge) in self.edges.iter().enumerate() {
            out[edge.from as usize].push(number as u32);
            if edge.from != edge.to {
                entered[edge.to as usize] = true;
            }
        }
        self.via = vec![None; self.nodes.len()];
        self.depth = vec![u32::MAX; self.nodes.len()];
        let mut queue: VecDeque<u32> =
            (0..self.nodes.len() as u32).filter(|n| !entered[*n as usize]).collect();
        println!("roots {}", queue.len());
        queue.iter().for_each(|n| self.depth[*n as usize] = 0);
        while let Some(node) = queue.pop_front() {
            for &edge in &out[node as usize] {
                let to = self.edges[edge as usize].to as usize;
                if self.depth[to] == u32::MAX {
                    self.depth[to] = self.depth[node as usize] + 1;
                    self.via[to] = Some(edge);
                    queue.push_back(to as u32);
                }
            }
        }
        for depth in 0..16 {
            let nodes = self.depth.iter().filter(|d| **d == depth).count();
            let edges = self.edges.iter().filter(|e| self.depth[e.from as usize] == depth).count();
            println!("depth {depth}: {nodes} nodes, {edges} edges");
        }
    }
}
