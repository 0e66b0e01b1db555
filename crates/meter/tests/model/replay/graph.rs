//! The calls that an exploration makes, as a graph of what Redis has.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{Hash as _, Hasher as _};

use crate::calls::{Answer, Call};
use crate::explorer::Fingerprint;
use crate::redis::Redis;
use crate::steps::{Next, Run};
use crate::world::World;

/// What Redis can have, and what each call makes of it. Eras are not told apart.
#[derive(Default)]
pub(crate) struct Graph {
    pub nodes: Vec<Redis>,
    pub edges: Vec<Edge>,
    numbers: HashMap<u64, u32>,
    known: HashSet<u64>,
    out: Vec<Vec<u32>>,
    /// The edge by which a node is reached first, and after how many calls.
    first: Vec<Option<u32>>,
    depth: Vec<u32>,
}

/// One call, made of one node.
pub(crate) struct Edge {
    pub from: u32,
    pub to: u32,
    pub call: Call,
    pub answer: Answer,
}

impl Graph {
    /// Adds one step of an exploration, if it makes a call.
    pub(crate) fn add(&mut self, run: &Run, before: &World, next: &Next) {
        let Some(made) = &next.made else { return };
        let redis = if made.old { before.old.as_deref().unwrap_or(&before.redis) } else { &before.redis };
        let from = self.node(redis);
        let mut hasher = Fingerprint::default();
        (from, &made.call).hash(&mut hasher);
        if !self.known.insert(hasher.finish()) {
            return;
        }
        let mut after = redis.clone();
        let answer = after.call(&made.call, run.rules);
        assert_eq!(answer, made.answer, "a call answers by what Redis has alone");
        let to = self.node(&after);
        self.out[from as usize].push(self.edges.len() as u32);
        self.edges.push(Edge { from, to, call: made.call.clone(), answer });
    }

    fn node(&mut self, redis: &Redis) -> u32 {
        let Redis { era: _, account, counter, holds, starts, collected, want, stream, last, posted, fence } =
            redis;
        let mut hasher = Fingerprint::default();
        (account, counter, holds, starts, collected).hash(&mut hasher);
        (want, stream, last, posted, fence).hash(&mut hasher);
        let next = self.nodes.len() as u32;
        let number = *self.numbers.entry(hasher.finish()).or_insert(next);
        if number == next {
            self.nodes.push(Redis { era: 1, ..redis.clone() });
            self.out.push(Vec::new());
        }
        number
    }

    /// Finds the shortest way to each node. One to which no call leads is where an era begins.
    pub(crate) fn measure(&mut self) {
        let mut entered = vec![false; self.nodes.len()];
        for edge in self.edges.iter().filter(|edge| edge.from != edge.to) {
            entered[edge.to as usize] = true;
        }
        self.first = vec![None; self.nodes.len()];
        self.depth = entered.iter().map(|entered| if *entered { u32::MAX } else { 0 }).collect();
        let mut queue: VecDeque<u32> = self.roots().collect();
        while let Some(node) = queue.pop_front() {
            for &edge in &self.out[node as usize] {
                let to = self.edges[edge as usize].to as usize;
                if self.depth[to] == u32::MAX {
                    self.depth[to] = self.depth[node as usize] + 1;
                    self.first[to] = Some(edge);
                    queue.push_back(to as u32);
                }
            }
        }
    }

    pub(crate) fn roots(&self) -> impl Iterator<Item = u32> {
        let depths = self.depth.iter().enumerate();
        depths.filter(|(_, depth)| **depth == 0).map(|(node, _)| node as u32)
    }

    pub(crate) fn out(&self, node: u32) -> impl Iterator<Item = u32> {
        self.out[node as usize].iter().copied()
    }

    pub(crate) fn depth(&self, node: u32) -> u32 {
        self.depth[node as usize]
    }

    /// Whether a walk that comes by this edge is the one that goes on from its node.
    pub(crate) fn is_first(&self, edge: u32) -> bool {
        self.first[self.edges[edge as usize].to as usize] == Some(edge)
    }

    /// The calls that lead to and through an edge.
    pub(crate) fn story(&self, edge: u32) -> String {
        let told = |edge: &Edge| format!("{:?} -> {:?}", edge.call, edge.answer);
        let mut calls = vec![told(&self.edges[edge as usize])];
        let mut node = self.edges[edge as usize].from;
        while let Some(edge) = self.first[node as usize] {
            let edge = &self.edges[edge as usize];
            calls.push(told(edge));
            node = edge.from;
        }
        calls.push(format!("{:?}", self.nodes[node as usize]));
        calls.reverse();
        calls.join("\n")
    }
}
