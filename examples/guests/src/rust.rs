//! A program on Rust's standard library: collections, sorting, formatting, trait objects, closures.
//!
//!     rust [ROUNDS]
//!
//! Every round prints one line. The environment variable GREETING is printed first if it is set.

use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;

/// A xorshift generator, so that every run is the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

trait Shape {
    fn area(&self) -> f64;
    fn name(&self) -> String;
}

struct Circle(f64);
struct Rectangle(f64, f64);
struct Polygon(Vec<(f64, f64)>);

impl Shape for Circle {
    fn area(&self) -> f64 {
        std::f64::consts::PI * self.0 * self.0
    }
    fn name(&self) -> String {
        format!("circle of radius {:.2}", self.0)
    }
}

impl Shape for Rectangle {
    fn area(&self) -> f64 {
        self.0 * self.1
    }
    fn name(&self) -> String {
        format!("rectangle of {:.2} by {:.2}", self.0, self.1)
    }
}

impl Shape for Polygon {
    fn area(&self) -> f64 {
        let next = self.0.iter().cycle().skip(1);
        let doubled: f64 = self.0.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum();
        doubled.abs() / 2.0
    }
    fn name(&self) -> String {
        format!("polygon of {} corners", self.0.len())
    }
}

fn random_shape(random: &mut Random) -> Box<dyn Shape> {
    let mut length = || random.below(1000) as f64 / 100.0;
    let (a, b) = (length(), length());
    match random.below(3) {
        0 => Box::new(Circle(a)),
        1 => Box::new(Rectangle(a, b)),
        _ => Box::new(Polygon((0..7).map(|i| (f64::from(i) * a, f64::from(i * i % 5) * b)).collect())),
    }
}

/// The largest of many shapes, by calls through trait objects.
fn largest_shape(random: &mut Random) -> String {
    let mut shapes: Vec<Box<dyn Shape>> = (0..2000).map(|_| random_shape(random)).collect();
    shapes.sort_by(|a, b| b.area().total_cmp(&a.area()));
    format!("{} with area {:.3}", shapes[0].name(), shapes[0].area())
}

/// Shortest paths over a random graph. Returns the greatest distance and the nodes reached.
fn longest_path(random: &mut Random, nodes: usize) -> (u64, usize) {
    let edges: Vec<Vec<(usize, u64)>> = (0..nodes)
        .map(|_| (0..4).map(|_| (random.below(nodes as u64) as usize, 1 + random.below(100))).collect())
        .collect();
    let mut distance: BTreeMap<usize, u64> = BTreeMap::new();
    let mut queue = BinaryHeap::from([(std::cmp::Reverse(0), 0)]);
    while let Some((std::cmp::Reverse(so_far), node)) = queue.pop() {
        if distance.contains_key(&node) {
            continue;
        }
        distance.insert(node, so_far);
        for &(next, length) in &edges[node] {
            queue.push((std::cmp::Reverse(so_far + length), next));
        }
    }
    (distance.values().copied().max().unwrap_or(0), distance.len())
}

/// Counts words in a map with randomly seeded hashing; the result is sorted before it is used.
fn count_words(random: &mut Random, ledger: &mut HashMap<String, u64>) -> (String, u64) {
    const PARTS: [&str; 6] = ["pe", "re", "grine", "fal", "con", "wing"];
    for _ in 0..3000 {
        let word: String = (0..3).map(|_| PARTS[random.below(6) as usize]).collect();
        *ledger.entry(word).or_insert(0) += 1;
    }
    let mut words: Vec<(&String, &u64)> = ledger.iter().collect();
    words.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    (words[0].0.to_uppercase(), *words[0].1)
}

/// Things kept for the whole run: shared text, a bounded history, a counting map.
struct Ledger {
    words: HashMap<String, u64>,
    history: VecDeque<Rc<str>>,
    steps: Vec<Box<dyn Fn(u64) -> u64>>,
}

impl Ledger {
    fn new() -> Self {
        let steps: Vec<Box<dyn Fn(u64) -> u64>> = (1..=8u64)
            .map(|factor| -> Box<dyn Fn(u64) -> u64> {
                if factor % 2 == 0 {
                    Box::new(move |value| value.rotate_left(factor as u32) ^ factor)
                } else {
                    Box::new(move |value| value.wrapping_mul(factor * 2 + 1).wrapping_add(factor))
                }
            })
            .collect();
        Ledger { words: HashMap::new(), history: VecDeque::new(), steps }
    }

    fn remember(&mut self, line: Rc<str>) {
        self.history.push_back(line);
        if self.history.len() > 20 {
            self.history.pop_front();
        }
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length: usize = self.history.iter().map(|line| line.len()).sum();
        write!(f, "{} lines of {} bytes, {} words", self.history.len(), length, self.words.len())
    }
}

fn run(rounds: u64) -> io::Result<()> {
    let mut out = io::stdout();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut ledger = Ledger::new();
    let mut hash = 1u64;
    for round in 1..=rounds {
        let shape = largest_shape(&mut random);
        let (distance, reached) = longest_path(&mut random, 4000);
        let (word, count) = count_words(&mut random, &mut ledger.words);
        for index in 0..2_000_000 {
            hash = ledger.steps[(hash >> 60) as usize % ledger.steps.len()](hash ^ index);
        }
        let line = format!("round {round:>3}: {shape}; {reached} nodes within {distance}; {word} {count}; {hash:016x}");
        writeln!(out, "{line}")?;
        out.flush()?;
        ledger.remember(Rc::from(line));
    }
    writeln!(out, "ledger: {ledger}")?;
    out.flush()
}

fn main() -> ExitCode {
    if let Ok(greeting) = std::env::var("GREETING") {
        println!("{greeting}");
    }
    let rounds = match std::env::args().nth(1).map(|text| text.parse()) {
        None => 60,
        Some(Ok(rounds)) => rounds,
        Some(Err(_)) => {
            eprintln!("usage: rust [ROUNDS]");
            return ExitCode::from(2);
        }
    };
    match run(rounds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rust: {error}");
            ExitCode::FAILURE
        }
    }
}
