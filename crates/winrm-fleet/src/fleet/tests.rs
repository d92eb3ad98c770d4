use super::*;

#[test]
fn amounts_are_numbers_or_percents_of_hosts() {
    for (text, of_ten) in [("3", 3), ("25%", 2), ("100%", 10), ("0", 1), ("1%", 1), ("33.3%", 3)] {
        assert_eq!(text.parse::<Amount>().unwrap().of(10), of_ten, "{text}");
    }
    for bad in ["", "%", "-1", "101%", "-1%", "NaN%", "x", "1.5"] {
        assert_eq!(bad.parse::<Amount>(), Err(InvalidAmount), "{bad}");
    }
}

#[tokio::test]
async fn a_fleet_without_hosts_ends_at_once() {
    assert!(Fleet::new([]).ping().next().await.is_none());
}
