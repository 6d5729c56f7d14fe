//! Policies made by chance, and what they mean: a second reading of the rules, made of nothing but what the documentation says, so that
//! the server cannot be wrong about lists and single records in the same way without being noticed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    conditions::{Condition, Maker, Reader},
    random::Random,
    world::{Person, ROLES, THINGS, World},
};

/// Three-valued, as conditions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    Unknown,
}

/// What a condition says about each record, by id.
pub type Verdicts = BTreeMap<String, Truth>;

/// A policy.
#[derive(Clone, Debug)]
pub struct Policy {
    pub subject: String,
    pub domain: &'static str,
    pub object: &'static str,
    pub action: &'static str,
    /// None means all.
    pub fields: Option<BTreeSet<String>>,
    pub condition: Option<Condition>,
    pub denies: bool,
}

impl Policy {
    fn random(random: &mut Random, world: &World, denies: bool) -> Self {
        let subject = match random.below(10) {
            0 | 1 => "role:anyone".to_owned(),
            2..=4 => "role:authenticated".to_owned(),
            5..=7 => format!("role:{}", random.pick(&ROLES)),
            _ => format!("user:{}", random.one(&world.people.ids)),
        };
        // A denial for everything would shut the admin out of the management, too.
        let wide = !denies || !["role:anyone", "role:authenticated"].contains(&subject.as_str());
        let object = if wide && random.percent(10) { "*" } else { THINGS };
        let condition = random.percent(if denies { 92 } else { 75 }).then(|| {
            let ids: Vec<String> = world.records.keys().cloned().collect();
            let levels = random.below(4);
            Maker { random, people: &world.people, ids: &ids, policy: true }.condition(levels)
        });
        // Of everything that a denial without a condition takes away, nothing is left to look at.
        let masked = if denies { condition.is_none() || random.percent(50) } else { random.percent(45) };
        let most = if denies { 4 } else { world.fields.len() };
        let fields = masked.then(|| {
            let least = if denies { 1 } else { 4 };
            random.some(&world.fields, least, most).into_iter().collect()
        });
        Self {
            subject,
            domain: random.pick(&["*", "*", "*", "main", "main", "other"]),
            object,
            action: random.pick(&["read", "read", "read", "read", "*", "update"]),
            fields,
            condition,
            denies,
        }
    }

    /// The body that adds it.
    pub fn json(&self) -> Value {
        let fields = self.fields.as_ref().map_or("*".to_owned(), |fields| fields.iter().cloned().collect::<Vec<_>>().join(" "));
        json!({
            "subject": self.subject, "domain": self.domain, "object": self.object, "action": self.action, "fields": fields,
            "condition": self.condition.as_ref().map(|condition| condition.text(&Reader::Policy)).unwrap_or_default(),
            "effect": if self.denies { "deny" } else { "allow" },
        })
    }

    /// Whether it speaks about this person's reading.
    pub fn concerns(&self, person: &Person) -> bool {
        ["*", "main"].contains(&self.domain) && ["*", "read"].contains(&self.action) && person.subjects().contains(&self.subject)
    }

    fn names(&self, field: &str) -> bool {
        self.fields.as_ref().is_none_or(|fields| fields.contains(field))
    }
}

/// Three to nine policies.
pub fn set(random: &mut Random, world: &World) -> Vec<Policy> {
    let allowing = 2 + random.below(4);
    let denying = random.below(5);
    (0..allowing + denying).map(|number| Policy::random(random, world, number >= allowing)).collect()
}

/// What one person may see.
pub struct Sight {
    /// Nothing can be seen, whatever is stored.
    pub never: bool,
    /// Everything can be seen, whatever is stored.
    pub always: bool,
    /// The fields that every record shows that is seen at all.
    pub sure: BTreeSet<String>,
    /// A denial about everything may close the person's own account too, and with it `caller.x` in filters.
    pub own_account_closed: bool,
    /// The visible records, each with its fields.
    pub records: BTreeMap<String, BTreeSet<String>>,
}

/// Reads the policies that concern somebody, each with what its condition says.
pub fn sight(policies: &[(&Policy, Option<Verdicts>)], world: &World) -> Sight {
    let allowing: Vec<_> = policies.iter().filter(|(policy, _)| !policy.denies).collect();
    let (whole, partial): (Vec<_>, Vec<_>) =
        policies.iter().filter(|(policy, _)| policy.denies).partition(|(policy, _)| policy.fields.is_none());
    let truth = |verdicts: &Option<Verdicts>, id: &str| verdicts.as_ref().map_or(Truth::True, |verdicts| verdicts[id]);
    let never = allowing.is_empty() || whole.iter().any(|(_, verdicts)| verdicts.is_none());
    let always = !never && whole.is_empty() && allowing.iter().any(|(_, verdicts)| verdicts.is_none());

    let sure = |field: &String| {
        let in_all = allowing.iter().all(|(policy, _)| policy.names(field));
        let in_one = allowing.iter().any(|(policy, verdicts)| verdicts.is_none() && policy.names(field));
        !never && (in_all || in_one) && !partial.iter().any(|(policy, _)| policy.names(field))
    };
    let seen = |id: &String| {
        let opens: Vec<_> = allowing.iter().filter(|(_, verdicts)| truth(verdicts, id) == Truth::True).collect();
        let refused = whole.iter().any(|(_, verdicts)| truth(verdicts, id) != Truth::False);
        if never || opens.is_empty() || refused {
            return None;
        }
        let closes: Vec<_> = partial.iter().filter(|(_, verdicts)| truth(verdicts, id) != Truth::False).collect();
        let shown =
            |field: &&String| opens.iter().any(|(policy, _)| policy.names(field)) && !closes.iter().any(|(policy, _)| policy.names(field));
        Some((id.clone(), world.fields.iter().filter(shown).cloned().collect()))
    };
    Sight {
        never,
        always,
        sure: world.fields.iter().filter(|field| sure(field)).cloned().collect(),
        own_account_closed: policies.iter().any(|(policy, _)| policy.denies && policy.object == "*"),
        records: world.records.keys().filter_map(seen).collect(),
    }
}
