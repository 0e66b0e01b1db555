//! Strategies of a traffic policy at work: which of the models that there are a request may go to, in which
//! order, and with which of the policy's keys.

pub mod told;
