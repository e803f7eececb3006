//! What a file may look like after an accident or in bad hands: an error, never a wrong answer.

mod container;
mod crafted;
mod damage;
mod fuzz;
mod measure;
mod place;
mod save;
mod support;
