use super::*;

/// Monday, 12 June 2023, 15:30.
const NOW: &str = "2023-06-12T15:30:00Z";

fn find_at(text: &str, now: &str) -> Option<(String, String, String)> {
    let found = resolve_statement_time(text, now.parse().unwrap(), &TimeZone::UTC)?;
    let short = |t: Timestamp| {
        let text = t.to_string();
        ["T00:00:00Z", ":00Z", "Z"].iter().find_map(|end| text.strip_suffix(end)).unwrap_or(&text).to_owned()
    };
    Some((found.phrase, short(found.from), short(found.to)))
}

#[track_caller]
fn check(rows: &[(&str, &str, &str, &str)]) {
    let mut wrong = String::new();
    for (text, phrase, from, to) in rows {
        let found = find_at(text, NOW);
        let found = found.as_ref().map(|(p, f, t)| (p.as_str(), f.as_str(), t.as_str()));
        if found != Some((*phrase, *from, *to)) {
            wrong += &format!("{text}: {found:?}, not {:?}\n", (phrase, from, to));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn days_and_periods() {
    check(&[
        ("What did I eat yesterday?", "yesterday", "2023-06-11", "2023-06-12"),
        ("the day before yesterday we met", "day before yesterday", "2023-06-10", "2023-06-11"),
        ("What happened last Tuesday?", "last Tuesday", "2023-06-06", "2023-06-07"),
        ("see you next Monday", "next Monday", "2023-06-19", "2023-06-20"),
        ("I met her on Friday", "Friday", "2023-06-09", "2023-06-10"),
        ("I'll meet her on Friday", "Friday", "2023-06-16", "2023-06-17"),
        ("we spoke last week", "last week", "2023-06-05", "2023-06-12"),
        ("the week before last", "week before last", "2023-05-29", "2023-06-05"),
        ("What did I spend this month?", "this month", "2023-06-01", "2023-07-01"),
        ("over the last three months", "last three months", "2023-03-12", "2023-06-12T15:30:01"),
        ("in the past week", "past week", "2023-06-05", "2023-06-12T15:30:01"),
        ("last year's budget", "last year's", "2022-01-01", "2023-01-01"),
        ("the party last weekend", "last weekend", "2023-06-10", "2023-06-12"),
        ("What did I do over the weekend?", "weekend", "2023-06-10", "2023-06-12"),
        ("I slept badly last night", "last night", "2023-06-11T18:00", "2023-06-12T06:00"),
        ("yesterday morning I ran", "yesterday morning", "2023-06-11T05:00", "2023-06-11T12:00"),
        ("what is planned for tomorrow", "tomorrow", "2023-06-13", "2023-06-14"),
        ("I saw her the other day", "other day", "2023-06-02", "2023-06-12"),
        ("last summer we sailed", "last summer", "2022-06-01", "2022-09-01"),
        ("this winter", "this winter", "2023-12-01", "2024-03-01"),
    ]);
}

#[test]
fn some_time_ago() {
    check(&[
        ("3 days ago", "3 days ago", "2023-06-09", "2023-06-10"),
        ("I adopted a cat two weeks ago", "two weeks ago", "2023-05-26", "2023-06-02"),
        ("a couple of days ago", "a couple of days ago", "2023-06-09", "2023-06-11"),
        ("a few weeks ago", "a few weeks ago", "2023-05-05", "2023-06-02"),
        ("a month ago I quit", "a month ago", "2023-04-27", "2023-05-28"),
        ("I asked an hour ago", "an hour ago", "2023-06-12T14:00", "2023-06-12T15:00"),
        ("We'll meet two weeks from now", "two weeks from now", "2023-06-23", "2023-06-30"),
    ]);
}

#[test]
fn calendar_dates() {
    check(&[
        ("on 7 May 2023", "7 May 2023", "2023-05-07", "2023-05-08"),
        ("on May 7th, 2023 we", "May 7th, 2023", "2023-05-07", "2023-05-08"),
        ("the 7th of May", "7th of May", "2023-05-07", "2023-05-08"),
        ("on 24 December", "24 December", "2022-12-24", "2022-12-25"),
        ("Friday, 7 July 2023", "Friday, 7 July 2023", "2023-07-07", "2023-07-08"),
        ("on 2023-05-07, as agreed", "2023-05-07", "2023-05-07", "2023-05-08"),
        ("2023/05/30 (Tue) 23:40", "2023/05/30", "2023-05-30", "2023-05-31"),
        ("at 2023-05-07T10:00:00Z", "2023-05-07T10", "2023-05-07", "2023-05-08"),
        ("am 07.05.2023 war es", "07.05.2023", "2023-05-07", "2023-05-08"),
        ("on 5/17/2023", "5/17/2023", "2023-05-17", "2023-05-18"),
        ("on 17/5/2023", "17/5/2023", "2023-05-17", "2023-05-18"),
        ("where did I live in May?", "May", "2023-05-01", "2023-06-01"),
        ("where did i live in may", "may", "2023-05-01", "2023-06-01"),
        ("in May 2022", "May 2022", "2022-05-01", "2022-06-01"),
        ("in July", "July", "2022-07-01", "2022-08-01"),
        ("next July", "next July", "2023-07-01", "2023-08-01"),
        ("What will I do in July?", "July", "2023-07-01", "2023-08-01"),
        ("in August last year", "August last year", "2022-08-01", "2022-09-01"),
        ("in the summer of 2019", "summer of 2019", "2019-06-01", "2019-09-01"),
        ("What happened in 2021?", "2021", "2021-01-01", "2022-01-01"),
        ("music of the 1990s", "1990s", "1990-01-01", "2000-01-01"),
        ("in early May", "early May", "2023-05-01", "2023-05-11"),
        ("at the end of last year", "end of last year", "2022-09-01", "2023-01-01"),
        ("what did we do on Christmas", "Christmas", "2022-12-24", "2022-12-28"),
        ("on Thanksgiving 2022", "Thanksgiving 2022", "2022-11-24", "2022-11-25"),
        ("on New Year's Eve", "New Year's Eve", "2022-12-31", "2023-01-01"),
        ("I paid on the 5th.", "5th", "2023-06-05", "2023-06-06"),
    ]);
}

#[test]
fn opened_and_joined() {
    check(&[
        ("since Monday", "since Monday", "2023-06-12", "2023-06-12T15:30"),
        ("since 2020", "since 2020", "2020-01-01", "2023-06-12T15:30"),
        ("before May 2023", "before May 2023", "0001-01-01", "2023-05-01"),
        ("after May", "after May", "2023-06-01", "2023-06-12T15:30"),
        ("until last March", "until last March", "0001-01-01", "2023-04-01"),
        ("between May and July 2022", "between May and July 2022", "2022-05-01", "2022-08-01"),
        ("between 3 and 7 May", "between 3 and 7 May", "2023-05-03", "2023-05-08"),
        ("from March to May 2021", "from March to May 2021", "2021-03-01", "2021-06-01"),
        ("the week before 9 June 2023", "week before 9 June 2023", "2023-06-02", "2023-06-09"),
        ("the Friday before 15 July 2022", "Friday before 15 July 2022", "2022-07-08", "2022-07-09"),
        ("two days after Christmas", "two days after Christmas", "2022-12-26", "2022-12-27"),
        ("the week of 5 June 2023", "week of 5 June 2023", "2023-06-05", "2023-06-12"),
        ("today I wonder what I did last May", "last May", "2023-05-01", "2023-06-01"),
        ("what is today about", "today", "2023-06-12", "2023-06-13"),
    ]);
}

#[test]
fn other_languages() {
    check(&[
        ("¿qué hice la semana pasada?", "semana pasada", "2023-06-05", "2023-06-12"),
        ("¿qué comí ayer?", "ayer", "2023-06-11", "2023-06-12"),
        ("lo dije hace 3 días en la casa", "hace 3 días", "2023-06-09", "2023-06-10"),
        ("el 7 de mayo de 2023", "7 de mayo de 2023", "2023-05-07", "2023-05-08"),
        ("was habe ich gestern gesagt", "gestern", "2023-06-11", "2023-06-12"),
        ("was habe ich vor drei Tagen gesagt", "vor drei Tagen", "2023-06-09", "2023-06-10"),
        ("wo war ich letzten Dienstag", "letzten Dienstag", "2023-06-06", "2023-06-07"),
        ("wo war ich im Mai 2022", "Mai 2022", "2022-05-01", "2022-06-01"),
        ("qu'est-ce que j'ai mangé hier", "hier", "2023-06-11", "2023-06-12"),
        ("je suis parti il y a deux jours", "il y a deux jours", "2023-06-10", "2023-06-11"),
        ("le mois dernier je", "mois dernier", "2023-05-01", "2023-06-01"),
        ("o que eu fiz na semana passada", "semana passada", "2023-06-05", "2023-06-12"),
        ("o que você fez ontem", "ontem", "2023-06-11", "2023-06-12"),
        ("há 2 dias eu", "há 2 dias", "2023-06-10", "2023-06-11"),
        ("昨天我吃了什么", "昨天我吃了什么", "2023-06-11", "2023-06-12"),
    ]);
}

#[test]
fn what_is_no_time() {
    for text in [
        "May I ask something?",
        "I may march on",
        "write it in 2000 words",
        "the second one",
        "a spring in the mattress",
        "every Friday we meet",
        "Ich bin hier und warte",
        "page 2023",
        "we met after the show",
        "between you and me",
        "",
        "version 1.2.3",
        "99999999999999999999 days ago",
        "in my 30s",
    ] {
        let found = find_at(text, NOW);
        assert_eq!(found, None, "{text}");
    }
}

#[test]
fn a_time_without_its_year_comes_round_each_year() {
    for (text, yearly) in [
        ("in June", true),
        ("on 7 May", true),
        ("during the summer", true),
        ("at Christmas", true),
        ("between May and July", true),
        ("in June 2022", false),
        ("last June", false),
        ("since May", false),
        ("before Christmas", false),
        ("yesterday", false),
    ] {
        let found = resolve_statement_time(text, NOW.parse().unwrap(), &TimeZone::UTC).unwrap();
        assert_eq!(found.yearly, yearly, "{text}");
    }
}

#[test]
fn the_time_zone_decides_the_day() {
    // 03:00 UTC on 12 June is still 11 June in New York.
    let tz = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap();
    let found = resolve_statement_time("yesterday", "2023-06-12T03:00:00Z".parse().unwrap(), &tz).unwrap();
    assert_eq!(found.from.to_string(), "2023-06-10T04:00:00Z");
    assert_eq!(found.to.to_string(), "2023-06-11T04:00:00Z");
    // A day on which the clocks change has 23 hours.
    let found = resolve_statement_time("12 March 2023", "2023-06-12T03:00:00Z".parse().unwrap(), &tz).unwrap();
    assert_eq!(found.to.duration_since(found.from).as_hours(), 23);
}

#[test]
fn the_ends_of_the_calendar_are_no_trouble() {
    for now in [Timestamp::MIN, Timestamp::MAX] {
        for text in [
            "last year",
            "next decade",
            "in 300 years",
            "9999 years ago",
            "between 1 and 31 December 9998",
            "after 9998-12-31",
        ] {
            let _ = resolve_statement_time(text, now, &TimeZone::UTC);
        }
    }
}
