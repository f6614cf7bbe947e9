//! Words and phrases that say what is asked for, by class, in the languages tried.
//!
//! The lists hold general words of each class, not the vocabulary of any collection of questions: what generalises is structure and
//! common verbs and nouns. Entries are separated by commas; an entry of several words matches that sequence (up to six words).
//! Matching is by whole words (`go` is not in `good`); Chinese characters and Hiragana count as words of their own.

use super::scan::{MAX_PHRASE, phrase_hash, tokens_of};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

/// What a word or phrase says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Class {
    /// Asks a question: who, what, explain.
    Question,
    /// Asks for knowledge as such: define, difference between, history of.
    Knowledge,
    /// A verb of writing or rewording.
    WriteVerb,
    /// A verb that can only be about text: translate, proofread.
    TextVerb,
    /// A thing that is written: essay, email.
    TextNoun,
    /// A verb of making that code shares with text: implement, debug.
    CodeVerb,
    /// Names of languages and tools: python, regex.
    CodeStrong,
    /// Words that code shares with life: function, list.
    CodeWeak,
    /// Terms of mathematics.
    MathStrong,
    /// Words of sums and word problems.
    MathWeak,
    /// How many, how much.
    Count,
    /// What changes by the hour: weather, right now.
    FreshStrong,
    /// What changes by the year: current, most recent.
    FreshWeak,
    /// Roles and records whose holder changes.
    Office,
    /// Buying.
    ShopStrong,
    /// Looking for, I need.
    Want,
    /// Sizes, colours, materials, packs.
    Attribute,
    /// Hello, thanks, a joke.
    Social,
    /// Words that are small talk when they stand nearly alone: yes, great.
    Chatter,
    /// You, your.
    You,
    /// I, my.
    FirstPerson,
    /// Feelings and life of the one who speaks or is spoken to.
    Personal,
    /// Pictures.
    Picture,
    /// What pictures show: wearing, in the background.
    Scene,
    /// Begins a follow-up: and, what about, also.
    FollowUp,
    /// Points back: it, that.
    Pronoun,
    /// How do I: wants to be told how to do something.
    HowTo,
    /// Why, explain.
    Why,
    /// Has, have.
    Have,
    /// Is, are.
    Is,
    /// Please, can you.
    Polite,
}

/// How many classes there are.
pub(super) const CLASSES: usize = Class::Polite as usize + 1;

const LISTS: &[(Class, &str)] = &[
    (Class::Question, "
        what, whats, who, whos, whom, whose, when, where, which, why, how, explain, is there, are there, did, does, tell me about, describe how, was, were, is, are, can, could, should, would, will, do,
        qué, quién, quiénes, cuándo, dónde, cuál, cuáles, por qué, cómo, explica, explícame,
        was ist, was sind, wer, wann, wo, welche, welcher, welches, warum, wieso, wie, erkläre, erklär, woher,
        qui, quand, où, quel, quelle, quels, quelles, pourquoi, comment, explique, est ce que, qu est ce que, quest ce que,
        o que, quem, quando, onde, qual, quais, por que, como, explique, explica,
        什么, 谁, 哪, 何时, 为什么, 怎么, 怎样, 如何, 解释, 吗, 多久,
        何, 誰, いつ, どこ, なぜ, どうして, どう, 教えて, とは, ですか,
        क्या, कौन, कब, कहाँ, क्यों, कैसे, समझाओ, समझाइए, बताइए, किसने, किस"),
    (Class::Knowledge, "
        define, definition, meaning of, what does, mean, difference between, history of, capital of, invented, discovered, founded, wrote, author of,
        born, died, country, century, war, located, population of, known for, cause of, causes, purpose of, example of, examples of, called, stands for,
        type of, types of, according to, originally, first, named after, in which year, what year, character, novel, movie, film, song, sings, plays, played,
        theory, species, explain how, how does, how do, what is the, what are the, why do, why does, why is, why are, who was, who wrote, who invented,
        capital de, diferencia entre, significa, definición, historia de, hauptstadt von, unterschied zwischen, bedeutet, geschichte, erfunden,
        capitale de, différence entre, signifie, histoire de, diferença entre, história de, 首都, 区别, 历史, 是什么, 意思, 違い, 歴史, 意味, राजधानी, अंतर, इतिहास, मतलब"),
    (Class::WriteVerb, "
        write, writing, draft, compose, craft, create, generate, develop, prepare, design, produce, come up with, brainstorm, describe, imagine, pretend, act as, outline,
        expand, elaborate, continue, polish, improve, make this, make it, turn this, help me write, give me, make a, make me, turn these, turn the, phrase, suggest, plan,
        escribe, escribir, redacta, redactar, crea, compón, schreibe, schreib, verfasse, formuliere, erstelle, entwirf, écris, écrire, rédige, rédiger, rédigez, écrivez,
        escreva, escrever, redija, crie, elabore, 写, 撰写, 创作, 起草, 编写, 書いて, 作成, 作って, लिखो, लिखिए, लिखें"),
    (Class::TextVerb, "
        proof, spellcheck, copyedit, synonym for, synonyms for, another word for, another way to say, less formal, sounds better, sound better,
        grammatically correct,
        譯成, 翻译成, 译成, 用英语怎么说, 丁寧に, 直して, 添削, 訳して, अनुवाद करो, सुधारें, korrektur, übersetzung, reformulez, mejora este texto, melhore este texto, fix the punctuation, fix my grammar, correct my grammar, correct this, is this sentence correct, past tense, passive voice, active voice, how do you spell, how to spell, tl dr, tldr, in other words, bullet point, say this in, how would you say, how do you say, in japanese, in korean, in portuguese, in chinese, in hindi, in arabic, in russian, into japanese, into korean,
        translate, translation, spelling, check my spelling, check my grammar, proofread, rewrite, reword, rephrase, paraphrase, summarize, summarise, shorten, edit, revise, spell check, grammar, correct the, simplify,
        fix the grammar, more formal, more concise, more professional, more polite, more casual, in your own words, tone, in french, in spanish, in german, into english, into french, into spanish, into german,
        traduce, traducir, corrige, resume, resumir, reescribe, übersetze, übersetz, übersetzen, korrigiere, umformulieren, fasse, zusammenfassen, kürze,
        traduis, traduire, traduisez, corrige, corriger, résume, résumer, reformule, traduza, traduzir, corrija, resuma, reescreva,
        翻译, 润色, 改写, 总结, 校对, 缩写, 翻訳, 要約, 校正, 書き直して, अनुवाद, सारांश, सुधारो"),
    (Class::TextNoun, "
        vows, wedding vows, out of office, acrostic, ballad, flyer, leaflet, motivation letter, postcard, hashtags, closing line, punchline, pitch,
        synopsis, plot twist, diary entry, fable, fairy tale,
        ode, sonnets, obituary, wedding speech, acceptance speech, minutes of the meeting, job posting, job description, business plan, marketing email, campaign, campaign brief, interview questions, literature review, policy document, research proposal, podcast name, bedtime story, short story, novel, novelist, song lyrics, love poem, thank you letter, complaint letter, apology, birthday message, quote, terms of service, plot outline, opening line, first chapter, 求职信, 辞职信, 文段, 退職届, 俳句, レポート, आवेदन, आवेदन पत्र, märchen, anschreiben, lebenslauf, conte, lettre de motivation, carta de presentación, carta de renuncia, discurso, currículo,
        essay, email, e mail, letter, poem, haiku, sonnet, limerick, story, blog, article, paragraph, speech, report, summary, abstract, headline, slogan, tagline, caption, captions,
        tweet, post, script, dialogue, review, title, titles, headlines for, card, greeting card, bullet points, cover letter, resume, cv, biography, bio, press release, newsletter, advertisement, ad copy, copy, lyrics, song, rap, screenplay,
        proposal, memo, invitation, toast, eulogy, outline, thesis, introduction, conclusion, chapter, sentence, wording, draft, product description, fictional, persuasive, creative,
        lesson plan, brochure, manifesto, diary, journal, scene, character, plot, monologue, announcement, statement, recommendation letter, thank you note, message to,
        ensayo, correo, carta, poema, cuento, artículo, párrafo, discurso, informe, aufsatz, brief, gedicht, geschichte über, rede, bericht, bewerbung, text,
        lettre, poème, discours, rapport, paragraphe, courriel, nouvelle, texto, redação, e mails, conto, crônica, relatório,
        诗, 文章, 作文, 邮件, 信, 故事, 演讲, 报告, 文案, 论文, 詩, 文章, メール, 手紙, 物語, 作文, कविता, निबंध, पत्र, कहानी, ईमेल, भाषण"),
    (Class::CodeVerb, "
        implement, debug, refactor, compile, deploy, code, program, unit test, optimize, vectorize, parse, instantiate, programar, programmieren, programmiere, implementiere, programmer, implémente, implementa, implemente, depurar, 实现, 调试, 编程, 実装, デバッグ, コンパイル, डिबग"),
    (Class::CodeStrong, "
        flutter, vite, svelte, nuxt, elixir, erlang, clojure, ffmpeg, eslint, conda, xcode, userscript, one liner, arduino, raspberry pi, esp32, godot,
        ggplot, postman, bootstrap, jquery, laravel, symfony, selenium, playwright, grpc, nosql, orm, prisma, rabbitmq, gitlab, bitbucket, vim, emacs,
        vs code, intellij, cmake, yarn, homebrew, unit test, hash map, spreadsheet formula, google sheets, readme,
        पायथन, पाइथन, पाइथॉन, जावा, 代码, 排序, 编译, 数据库, python写, java中, データベース, 文字列, quicksort, mergesort, bubble sort, base de datos, banco de dados, base de données, datenbank, vlookup, pivot table, cron expression, cron job, curl, chmod, ssh, useeffect, usestate, tailwind, flask app, pip, pygame, pytest, matplotlib, graphql, oauth, jwt, webhook, ci cd, github actions, heroku, aws lambda, terraform, redis, kafka, dependency injection, garbage collection, race condition, race conditions, design pattern, unit testing, design patterns, closure, closures, generics, polymorphism, inheritance, abstract class, oop, chrome extension, discord bot, web scraper, full stack, crashloopbackoff, null reference, undefined, nan in pandas, stored procedure, primary keys,
        this code, my code, the code, handle errors, error handling, in golang, component, re rendering, props, div, malloc, null, const, var, void, stdout, stdin, stderr, html tag, flexbox, css class, commit, rebase, checkout, detached head, branch, repo, repository, foreign key, primary key, inner join, left join, sql query, docker container, exit code, environment variable, virtualenv, import error, node modules, rest endpoint, http request, status code, websocket, cors, oauth, jwt, cron job, crontab, ssh, nginx, apache, redis, kafka, terraform, ansible, jenkins, ci pipeline, gradle, maven, jupyter, notebook, numpy array, list comprehension, for loop, while loop, if statement, unit testing, type hint, generics, decorator, closure, callback, promise, event loop, garbage collector, heap, segmentation fault, overflow error, off by one, refactoring, microservice, write a function, write a program, write a query, write code, a function that, a function to, function to find, function which, a program to, a program that, script to, script that, method that, class that, the given array, the given list, the given string, following function, following code, coding,
        python program, python script, python function, python code, java program, java code, java solution, c program, python, javascript, typescript, java, c++, c#, rust, golang, ruby, php, perl, kotlin, swift, scala, haskell, matlab, bash, shell, powershell, sql, mysql, postgres, postgresql, sqlite, mongodb, html, css,
        react, angular, vue, django, flask, fastapi, spring boot, node js, nodejs, numpy, pandas, pytorch, tensorflow, docker, dockerfile, kubernetes, git, github, regex, regexp, regular expression, json, yaml, xml, csv file, api, rest api,
        algorithm, leetcode, data structure, binary tree, linked list, hashmap, hash table, compiler, segfault, stack trace, stacktrace, traceback, null pointer, nullpointerexception, syntax error, runtime error, exception, pull request, merge conflict,
        dataframe, time complexity, space complexity, big o, recursion, recursive, dynamic programming, boolean, unit tests, source code, codebase, code snippet, snippet, command line, latex code, excel formula, sheets formula, vba, endpoint, backend, frontend, localhost,
        npm, pip install, cargo, async, await, goroutine, coroutine, mutex, borrow checker, struct, enum, lambda, iterator, debugger, ide, vscode, makefile, linux command, webpack,
        código, algoritmo, quellcode, quelltext, algorithmus, algorithme, code source, python代码, 代码, 算法, 函数, 编程, コード, 関数, プログラム, アルゴリズム, スクリプト, कोड, प्रोग्राम, फ़ंक्शन"),
    (Class::CodeWeak, "
        deploy, debug, docker, commit, cache, caching, framework, plugin, snippet, flatten, reverse, anagram, anagrams, palindrome, fibonacci, prime number, factorial, duplicates, consulta, datei, zeile, paket, fichier, archivo, arquivo, लिस्ट, फाइल, फंक्शन, सॉर्ट, 文件, 程序, 循环, ファイル, ループ, プログラミング,
        function, functions, class, code, array, arrays, string, strings, list, lists, tuple, tuples, dictionary, dictionaries, loop, variable, method, script, program, query, table, database, column, file, input, output, integer, integers, return, returns, bug, error, errors, crash, crashes,
        object, pointer, index, server, client, module, library, package, import, syntax, parameter, argument, sort, sorted, nested, app, website, web page, button, test, tests, thread, memory leak, binary, type error, terminal, element, elements, given, matrix, stack, queue, node, tree, graph, subarray, substring, complete the following, the following code, programming,
        función, funktion, fonction, função, variable, lista, liste, bucle, schleife, boucle, fehler, erreur, erro, tabla, tabelle, 变量, 数组, 列表, 报错, 字符串, 配列, 変数, エラー, リスト, ऐरे, त्रुटि"),
    (Class::MathStrong, "
        midpoint, prime factors, median, handshakes, simple interest, decimal places, odd one out, in how many ways, follow that,
        fahrenheit, celsius in, in celsius, to kilometers, to kilometres, to miles, to celsius, to grams, to pounds, to inches, eigenvalues, matrix with rows, slope, diagonals, octagon, hexagon, parabola, tangent, converges, diverges, limit of, local extrema, inverse of, marbles, dice, die is rolled, coin is tossed, coin is flipped, without replacement, weighings, always lies, tells the truth, only lies, twice as old, half my age, times as old, if all, then are all, can we conclude, is it true that all, what comes next, next number, next term, in the sequence, lcm, gcd, least number of, consecutive integers, ratio of, perimeter is, how long would it take, average of the, mean and standard deviation, square roots, cube root, to the power, squared, cubed, multiplicado, raíz cuadrada, velocidad media, vitesse moyenne, durchschnittsgeschwindigkeit, périmètre, wahrscheinlichkeiten, 面积, 周长, 速度是, 概率是, 乘以, 除以, かける, わる, 面積, 確率は, गुणनफल, योग, क्षेत्रफल,
        integral, derivative, equation, equations, probability, polynomial, modulo, remainder, theorem, proof, prove, prove that, triangle, hypotenuse, factorial, logarithm, sine, cosine, circle, radius, diameter, perimeter, circumference, quadratic, inequality, inequalities, fraction, fractions,
        prime number, prime numbers, divisible, divisor, divisors, square root, cube, geometry, algebra, calculus, arithmetic, sequence, vector, vectors, determinant, eigenvalue, permutations, combinations, coefficient, solve for, simplify, evaluate, compute, calculate, greatest common divisor, least common multiple, positive integer, positive integers,
        average of, median of, standard deviation, expected value, compound interest, interest rate of, angle, degrees, polygon, cone, sphere, cylinder, prism, rectangle, rectangular, solve, integrate, differentiate, factorise, factorize, is taller than, is older than, is heavier than, is faster than, is shorter than, is younger than, how many ways, decimal, decimals, average speed, sum of, product of, round to, nearest hundredth, nearest tenth, average, does not belong, relationship between, how many brothers, how many sisters, logic, syllogism, premise, premises, deduce, logically, riddle, puzzle, logic puzzle, truth teller, sibling, overtake, overtaken,
        ecuación, derivada, probabilidad, resuelve, calcula, triángulo, raíz, gleichung, ableitung, wahrscheinlichkeit, löse, berechne, dreieck, wurzel, équation, dérivée, probabilité, résous, résoudre, calcule, calculer, equação, resolva, calcule, probabilidade, raiz,
        方程, 方程式, 积分, 导数, 概率, 证明, 计算, 求解, 三角形, 平方根, 余数, 積分, 微分, 確率, 証明, 計算, 解いて, 方程式, समीकरण, हल करो, हल करें, गणना, प्रायिकता, त्रिभुज"),
    (Class::MathWeak, "
        each, every, total, altogether, in total, twice, half, third, quarter, times as many, times as much, more than, less than, fewer, per hour, per day, per week, per pound, per person, an hour, a day, miles per hour, mph, percent, percentage, left over, remaining, left, remain, sum, difference, product, number, numbers, ratio,
        dozen, dollars, cents, costs, cost, earns, earn, sold, sells, spent, spends, pays, paid, years old, older than, younger than, pieces, bought, gave, gives, ate, eats, row, rows, age, speed, distance, divided, multiplied, minus, plus, equal, equals, value of, integer, even, odd, brothers, sisters, if all, then,
        doble, mitad, cada, total, por ciento, doppelt, hälfte, jede, jeder, insgesamt, prozent, double, moitié, chaque, pour cent, dobro, metade, por cento, 一共, 每, 倍, 一半, 百分之, 合計, 倍, 半分, कुल, प्रत्येक, दोगुना, आधा, प्रतिशत"),
    (Class::Count, "
        how many, how much, how far, how long, how old, how fast, what is the total, what percentage, what fraction, cuántos, cuántas, cuánto, wie viele, wie viel, wieviel, combien, quantos, quantas, quanto, 多少, 几个, いくつ, いくら, 何人, 何個, कितने, कितना, कितनी"),
    (Class::FreshStrong, "
        last week, last weekend, next weekend, later today, nearest, closest, close by, walking distance, air quality, pollen, humidity, uv index,
        high tide, low tide, tide times, top stories, breaking news, in the news, kick off, fixtures, league table, playing tonight, in cinemas,
        in theaters, in theatres, in stock today, tickets left, sold out, open today, open on sunday, closed today, departures, arrivals, layover,
        timetable, roadworks, road conditions, traffic jam, on strike, power outage, exchange rates, ftse, mortgage rates, petrol price, petrol prices,
        fuel prices, travel advice, entry requirements, newly released, just announced, so far this, fin de semana, este finde, esta semana,
        la semana que viene, am wochenende, diese woche, letzte woche, nächste woche, ce week end, cette semaine, la semaine prochaine, esta semana,
        fim de semana, 今晚, 这周, 周末, 附近, 几点开门, 今夜, 今週, 週末, 近く, इस हफ्ते, आसपास,
        what time is it, what day is it, date today, days until, full moon, solar eclipse, pollen count, umbrella, sunrise, sunset, next bus, next train, delayed, delays at, train strike, open late, open now, still open, opening hours, closing time, near here, around here, phone number of, website of, search the web, google, check online, live score, score of, standings, premier league, nasdaq, dow jones, the dow, bitcoin, exchange rate, interest rates, box office, tickets for, showtimes, playing at, whats playing, on tv, election results, ceasefire, tweet from, these days, at the moment, at this moment, this month, anoche, hier soir, ce soir, heute abend, letzte nacht, ontem à noite, cotação, el dólar, dólar hoje, dax, börse, partido de, 昨晚, 汇率是, 股市, 比赛, 昨夜, 今週末, मैच, आज का, ताजा,
        weather, forecast, temperature outside, going to rain, is it raining, traffic, news, headlines, breaking, in euros, to euros, in pesos, to pesos, in yen, to yen, in rupees, to rupees, dollars in, dollars to, euros to, pounds to, pound worth, gas price, gas prices, gasoline price, gold price, price of gold, oil price, stock market, flight, flights, airline, airlines, traveling to, travelling to, on time, how busy is, is it busy, stock price, share price, exchange rate, conversion rate, bitcoin price, price of bitcoin, crypto, live score, score of, who won last night, flight status, status of my flight, my flight, boarding, delayed, opening hours, open now,
        current, currently, most recent, most recently, upcoming, this years, this season, as of, how old is, years ago, safe to go, safe to visit, is it safe, how safe is, wait at, the wait, expected to arrive, right now, tonight, tomorrow, yesterday, today, todays, this morning, this afternoon, this evening, this weekend, last night, this week, next week, latest, up to date, recently, trending, near me, nearby, wait time, how busy, who is leading, is winning, standings, train times, near here, official website, website of, homepage of, search for, search the web, look up, google, browse, find online, on the internet, travel advisory, travel alert, travel alerts, election results, box office, showtimes, schedule,
        safe to travel, currency, usd, eur, gbp, jpy,
        clima, tiempo hace, noticias, hoy, mañana, ayer, ahora mismo, últimas, busca en internet, wetter, nachrichten, heute, morgen, gestern, gerade, aktuelle, aktuellen, aktuell, neueste, neuesten, suche im internet, börsenkurs, météo, actualités, aujourdhui, demain, hier, en ce moment, dernières, dernière, cherche sur internet,
        tempo hoje, notícias, hoje, amanhã, ontem, agora mesmo, últimas notícias, pesquise,
        天气, 新闻, 今天, 明天, 昨天, 现在, 最新, 实时, 股价, 汇率, 天気, ニュース, 今日, 明日, 昨日, 最新, 株価, 為替, मौसम, समाचार, आज, कल, अभी, ताज़ा, खबर"),
    (Class::FreshWeak, "
        on monday, on tuesday, on wednesday, on thursday, on friday, on saturday, on sunday, next monday, next friday, last monday, last friday,
        newest, come out, came out, coming out, out yet, out now, released, announced, happening, going on, remain, open, closed, closes, opens, busy,
        delays, cancelled, canceled, flights, flight, train to, bus to, tickets, reviews, rated, ratings,
        reviews for, review for, reviews of, reviews like, wait times, cost of living, status of, so far,  this year, this month, next year, last year, last month, now, still, ever, new, next, to date, recent, anymore, these days, nowadays, yet, just released, has been, have been, won the most, active, reigning, remaining, last time, update, updates, version, release date, when does, when will, will the,
        actual, actualmente, este año, reciente, próximo, derzeit, jetzt, dieses jahr, nächste, kürzlich, actuel, actuelle, actuellement, cette année, récent, prochain, prochaine, atual, atualmente, este ano, recente, próximo, 目前, 今年, 最近, 下一, 当前, 現在, 今年, 最近, 次の, वर्तमान, इस साल, हाल, अगला"),
    (Class::Office, "
        president, prime minister, ceo, chancellor, king, queen, pope, champion, champions, world record, record holder, richest, tallest, highest paid, highest grossing, best selling, top ranked, number one, most followed, most subscribed, most popular, winner, governor, mayor, head coach, manager of, captain, leader, minister, senator, speaker of, chairman, director of, owner of, net worth, market cap, population, ranking, rank, salary, gdp, unemployment rate, inflation, inflation rate, interest rate, world cup, super bowl, olympics, grammy, oscar, oscars, nobel, billboard, season, episodes, album, subscribers, followers, teammate, coach, girlfriend, boyfriend, wife, husband, age of, oldest living, largest company, most valuable,
        presidente, ministro, campeón, präsident, bundeskanzler, kanzler, weltmeister, président, premier ministre, champion du monde, campeão, 总统, 总理, 冠军, 首相, 大統領, 優勝, राष्ट्रपति, प्रधानमंत्री, मुख्यमंत्री"),
    (Class::ShopStrong, "
        free delivery, gift voucher, return label, my parcel, my order, order status, promo code, coupon code, half sizes, true to size, add to basket,
        to my basket, shopping list, shopping cart, stocking stuffer, stocking stuffers, present for, worth getting, any good, which brand, what brand,
        cheaper than, under 20, under 30, under 50, under 100, under 200, under 300, under 500, up to 100, up to 300, max 100, compatible with,
        replacement filter, replacement blades, spend up to, i want buy,
        add to cart, my cart, to my cart, return policy, warranty, gift card, gift cards, gift idea, gift ideas, geschenkidee, in stock, do you sell, do you have this in, top rated, best rated, price under, price less than, price lower than, less than 50 dollars, on a budget, worth buying, should i buy, which one should i buy, upgrade my, replacement for, what should i pay, fair price, order flowers, track my order, return shoes, empfehlen, empfiehlst, soll ich kaufen, kaufberatung, recomiendas, me recomiendas, recomendas, custo benefício, custo beneficio, mejor precio, por menos de, pour moins de, für unter, euro bis, bis 50 euro, quel acheter, 哪个好, 性价比, 元以下, 推荐, おすすめ, 安くて, 買う, खरीदने, दिखाओ, से कम का,
        whats a good, what is a good, entry level, compare prices, prices for, budget, worth the price, worth the money, where to buy, where can i buy, should i get, second hand, price comparison, best budget, good for beginners, gift, gifts, any recommendations, recommendations for, recommendation for, buy, buying, purchase, shop, shopping, cheap, cheapest, affordable, on sale, discount, coupon, deal, deals, bargain, gift for, gift idea, gift ideas, price range, budget of, in stock, add to cart, order a, order some, best value, worth buying, which should i buy, price lower than, priced under, price under, less than dollars, lower than, for under, under dollars, brand, brands, store, warranty, shipping, free shipping, amazon, refurbished,
        good laptop, best laptop, best phone, headphones under, product recommendation, recommend a, recommend some, recommend me a,
        comprar, barato, barata, oferta, regalo para, kaufen, billig, günstig, günstige, geschenk für, angebot, acheter, pas cher, cadeau pour, promotion, presente para, promoção,
        买, 购买, 便宜, 推荐一款, 礼物, 优惠, 買いたい, 購入, 安い, おすすめの, プレゼント, खरीदना, खरीदें, सस्ता, सस्ते, उपहार"),
    (Class::Want, "
        looking for, look for a, i want, i need, i would like, id like, i am looking, im looking, i am interested in, im interested in, i am searching for, im searching for, find me, show me, can i get, shopping for, want to find, need to find, help me find, help me choose, help me pick, i wish to,
        busco, necesito, quiero, estoy buscando, ich suche, ich brauche, ich möchte, je cherche, je veux, jai besoin, je voudrais, procuro, preciso, quero, estou procurando, 我想要, 我需要, 我要, 欲しい, 探して, चाहिए, ढूंढ"),
    (Class::Attribute, "
        shoes, boots, sneakers, dress, jeans, jacket, coat, shirt, socks, pyjamas, pajamas, mattress, sofa, couch, desk, chair, table lamp, backpack, laptop, phone, monitor, keyboard, headphones, earbuds, camera, tv, printer, stroker, stroller, strollers, tent, tents, bike, vacuum, shampoo, moisturizer, deodorant, dog food, fl oz, machine wash, machine washable, gluten free, vegan, sulfate free, wide calves, zapatillas, móvil, celular, vestido, tênis, robe, canapé, aspirateur, staubsauger, laufschuhe, kopfhörern, 运动鞋, 裙子, スニーカー, ドレス, साड़ी, हेडफोन, जूता,
        size, sized, color, colour, colored, inch, inches, feet, ft, oz, ounce, ounces, lb, pound pack, pack of, count pack, pair of, set of, fit, slim fit, wide, width, length, small, medium, large, x large, xx large, xl, black, white, red, blue, green, grey, gray, pink, brown, navy, purple, yellow, cotton, leather, wooden, wood, stainless steel, steel, rubber, polyester, plastic, metal, ceramic, waterproof, water resistant, wireless, bluetooth, rechargeable, portable, lightweight, machine washable, hand wash, gluten free, sugar free, organic, vegan, fragrance free, long lasting, easy to clean, easy to use, easy to install, easy assemble, heavy duty, high quality, battery, batteries, charger, case, cable, shoes, sneakers, boots, sandals, shirt, shirts, t shirt, jeans, pants, dress, jacket, sweater, hoodie, socks, laptop, phone, headphones, earbuds, tv, monitor, keyboard, camera, watch, lamp, chair, sofa, table lamp, mattress, rug, curtain, curtains, shampoo, lotion, perfume, lipstick, toothbrush, bag, backpack, wallet, gb ram, ram, ssd,
        talla, negro, rojo, zapatos, camisa, portátil, größe, schwarz, rot, schuhe, hemd, kopfhörer, taille, noir, rouge, chaussures, chemise, ordinateur portable, tamanho, preto, vermelho, sapatos, fone, 手机, 笔记本电脑, 鞋, 耳机, 颜色, 尺寸, 靴, スマホ, パソコン, イヤホン, サイズ, जूते, फोन, लैपटॉप, रंग"),
    (Class::Social, "
        おやすみ, お疲れ, 晚安, 早安, शुभ रात्रि, शुभ प्रभात, bonne nuit, bonne soirée, bonne journée, boa tarde, te quiero, happy new year, merry christmas, wish me luck, make me laugh, sing me a song, lets play, lets chat, entertain me, never mind, nevermind, brb, lol, haha, pardon, cuéntame un chiste, erzähl mir einen witz, 讲个笑话, 开心, 冗談, 自己紹介,
        hi, hello, hey, hiya, howdy, yo, greetings, good morning, good afternoon, good evening, good night, how are you, hows it going, how is it going, how are things, whats up, sup, how have you been, how do you do, how you doing, how you doin, how are you doing, nice to meet you, pleased to meet you, thank you, thanks, thank, thx, appreciate it, appreciated, i appreciate, cheers, youre welcome, bye, goodbye, good bye, see you, see ya, talk to you, take care, have a good, have a nice, have a great, peace out, farewell, so long, joke, jokes, make me laugh, funny, lol, haha, im bored, i am bored, im sad, i am sad, tell me a joke, im feeling, i am feeling, im happy, im tired, im lonely, how was your day, hows your day, lets chat, chat with me, talk to me, tell me about yourself, meaning of life, purpose of life, point of life, lifes purpose, our purpose, something funny, funniest, i love you, good job, well done, congratulations, happy birthday, merry christmas, miss you, my day, nice talking, are you real, are you human, are you a robot, are you a bot, your name, old are you, your age, your birthday, your hobbies, your favorite, your favourite, who made you, who created you, who are you, where are you from, what are you, do you like, do you love, do you enjoy, do you ever, do you think, do you feel, do you work, do you live, can you dance, can you sing,
        hola, buenos días, buenas tardes, buenas noches, gracias, adiós, chiste, cómo estás, qué tal, hasta luego, hallo, guten tag, guten morgen, guten abend, danke, tschüss, witz, wie geht, wie heißt du, servus, moin, bonjour, salut, bonsoir, merci, au revoir, blague, comment ça va, ça va, comment vas tu, olá, oi, bom dia, boa tarde, boa noite, obrigado, obrigada, tchau, piada, tudo bem, como vai,
        你好, 您好, 谢谢, 再见, 早上好, 晚上好, 笑话, 你是谁, 你叫什么, こんにちは, こんばんは, おはよう, ありがとう, さようなら, 元気, 冗談, はじめまして, नमस्ते, धन्यवाद, शुक्रिया, अलविदा, चुटकुला, कैसे हो, कैसे हैं"),
    (Class::Chatter, "ok, okay, cool, awesome, great, good, nice, wow, sure, yes, no, yeah, yep, nope, sorry, later, fine, perfect, right, sí, vale, ja, nein, oui, non, sim, não, 好, 好的, はい, いいえ, हाँ, नहीं"),
    (Class::FirstPerson, "i, im, ive, my, we, were having, ich, mein, je, jai, mon, yo, estoy, mi, eu, meu, estou, 我, 我的, 私, 僕, मैं, मेरा, मेरी"),
    (Class::You, "the ai, the ais, this ai, you, your, youre, yours, yourself, u, ur, ya, tú, tu, usted, du, dich, dein, deine, dir, sie, vous, toi, ton, ta, você, teu, seu nome, 你, 您, 你的, あなた, आप, तुम, तुम्हारा, आपका"),
    (Class::Personal, "
        lonely, bored, tired, nervous, proud, sad, happy, in love, my cat, my dog, my grandma, my mom, my mum, my ex, cansado, cansada, triste, aburrido, aburrida, müde, traurig, langweilig, fatigué, fatiguée, je mennuie, saudades, 心情, 累, 难过, 无聊, 疲れ, 嬉しい, 楽しかった, 悲しい, उदास, थका, थकी, खुश,
        hobbies, hobby, pets, pet, birthday, age, name, boss, employer, company, creator, robot, human, person, ai, artificial intelligence, bot, hometown, home town, favorite, favourite, feel, feelings, weekend, fun, free time, spare time, family, friend, friends, life, dream, dreams, opinion, like to do, live, made, built, designed, created, programmed, work for, real, old, born, from, call"),
    (Class::Picture, "
        image, picture, photo, photograph, photos, pictured, screenshot, this picture, this image, this photo, the image, the photo, the picture, shown here, depicted, diagram, chart, painting, drawing, scan, imagen, foto, bild, auf dem bild, photo ci, cette image, imagem, 图片, 照片, 图中, 画像, 写真, चित्र, तस्वीर, फोटो"),
    (Class::Scene, "
        wearing, holding, standing, sitting, background, foreground, in the scene, this scene, visible, color of the, colour of the, what color is, what kind of, position of, located in the, seen, see, look like, looks like, people are in, how many people, facial expression, appearance, atmosphere, doing in, man, woman, boy, girl, dog, cat"),
    (Class::FollowUp, "
        and, what about, how about, also, but, then, so, same for, again, another, one more, more, go on, continue, shorter, longer, in french, in spanish, in german, in english, in python, instead, too, y, también, und, auch, et, aussi, e, também, 那, 还有, 再, じゃあ, では, もっと, और, फिर"),
    (Class::Pronoun, "it, its, that, this, these, those, them, they, he, she, him, her, there, one, ones, eso, esto, ella, das, dies, es, ça, cela, isso, isto, 它, 这个, 那个, それ, これ, यह, वह, इसे"),
    (Class::HowTo, "how to, how do i, how can i, how do you, how would i, how should i, best way to, is there a way to, cómo puedo, wie kann ich, comment puis je, como posso, 怎么, 如何, 方法, कैसे"),
    (Class::Why, "why, how come, explain, explain why, explain that, reason, por qué, explica, warum, wieso, erkläre, erklär, pourquoi, explique, por que, 为什么, 解释, なぜ, どうして, 説明, क्यों, समझाओ"),
    (Class::Have, "has, have, had"),
    (Class::Is, "is, are, whos, whats, s"),
    (Class::Polite, "please, do you know, do you know if, can you tell me, could you tell me, tell me, let me know, i need to know, i want to know, id like to know, i would like to know, can someone tell me, do you have any idea, can you, could you, would you, can you help me, could you help me, could you please, can you please, kindly, i want to, i need to, i would like to, id like to, i want you to, i need you to, i would like you to, id like you to, help me, help me to, lets, just, hey, hi, hello, por favor, puedes, bitte, kannst du, könntest du, sil te plaît, sil vous plaît, peux tu, pouvez vous, você pode, pode, 请, 请帮我, 帮我, कृपया"),
];

/// Hashes are spread well already.
#[derive(Default)]
pub(super) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*b);
        }
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// From the hash of a phrase to a bit for each of its classes.
pub(super) static PHRASES: LazyLock<HashMap<u64, u32, BuildHasherDefault<Identity>>> = LazyLock::new(|| {
    let mut map = HashMap::default();
    for (class, list) in LISTS {
        for entry in list.split(',') {
            let words = tokens_of(entry);
            if let (false, true) = (words.is_empty(), words.len() <= MAX_PHRASE) {
                *map.entry(phrase_hash(words.iter().copied())).or_insert(0) |= 1u32 << (*class as u8);
            }
        }
    }
    map
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_short_enough_to_match() {
        for (class, list) in LISTS {
            for entry in list.split(',') {
                let n = tokens_of(entry).len();
                assert!((1..=MAX_PHRASE).contains(&n), "{class:?}: `{}` has {n} words", entry.trim());
            }
        }
        const { assert!(CLASSES <= 32) };
    }
}
