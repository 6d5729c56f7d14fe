//! The host call that enqueues an effect. Number and size are checked first, then form and grant.

use wasmtime::Result;

use super::{Instance, Stop};
use crate::contract::{effects, types};
use crate::effect::Effect;
use crate::records::Failure;
use crate::transcript::{Id, input};

impl effects::Host for Instance {
    async fn enqueue(&mut self, kind: String, payload: String, options: String) -> Result<Result<String, types::Failure>> {
        self.spend()?;
        let (most, max) = (self.limits().effects, self.limits().effect_max_bytes);
        if self.call.effects >= most {
            return Err(Stop::Effects(most).into());
        }
        let bytes = payload.len() + options.len();
        if bytes > max {
            return Ok(Err(Failure::new("limit", format!("an effect of {bytes} bytes, at most {max} are allowed")).into()));
        }
        let effect = match Effect::parse(&kind, &payload, &options, &self.call.ground.grants, &self.terms.jobs) {
            Ok(effect) => effect,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        self.call.effects += 1;
        let recorded = self.call.recorder.is_some().then(|| effect.clone());
        let asked = self.ask();
        let answer = self.call.records.enqueue(effect).await.map(Id);
        let input = || recorded.as_ref().map(input::enqueue).unwrap_or_default();
        Ok(self.answer(asked, ("effects.enqueue", input), answer)?.map(|Id(id)| id))
    }
}
