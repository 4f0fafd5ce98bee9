//! Advice for refusals that a load test meets.

/// Advice on which server setting to raise: limits are meant to refuse load, so a load test needs higher
/// ones.
pub(crate) fn setting_to_raise(status: u16, code: &str) -> &'static str {
    match (status, code) {
        (429, _) | (_, "rate_limited") => {
            " (start the server with RATE_LIMIT_PER_USER=0, and from another machine RATE_LIMIT_PER_ADDRESS=0)"
        }
        (_, "too_many_participants") => " (start the server with a larger MAX_PARTICIPANTS)",
        (_, "too_many_members") => " (start the server with a larger MAX_GROUP_MEMBERS)",
        (_, "too_many_consumers") => " (start the server with a larger MAX_CONSUMERS_PER_TRANSPORT)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_for_a_limit_names_the_setting_that_raises_it() {
        assert!(setting_to_raise(429, "").contains("RATE_LIMIT_PER_USER=0"));
        assert!(setting_to_raise(0, "rate_limited").contains("RATE_LIMIT_PER_USER=0"));
        assert!(setting_to_raise(422, "too_many_participants").contains("MAX_PARTICIPANTS"));
        assert_eq!(setting_to_raise(403, "forbidden"), "");
    }
}
