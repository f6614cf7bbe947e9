//! Texts of our own making, one of each kind that a conversation brings, to calibrate the estimate with.

pub(super) const SAMPLES: &[(&str, &str)] = &[
    (
        "english prose",
        "The harbour was quiet when we came back from the island. A few boats rocked against the wooden pier, and somebody had left a lantern burning on the last post. Nobody spoke for a while. Then my sister laughed, pointed at the lighthouse on the hill and said that she would climb it before breakfast, whatever the weather decided to do. We believed her, because she had climbed stranger things for worse reasons.",
    ),
    (
        "english chat",
        "hey! are you around later today? i was thinking we could grab a coffee near the station, maybe around 4ish? lmk if that works for you :) otherwise tomorrow's fine too, i'm free after lunch. oh and don't forget to bring the book i lent you last month haha",
    ),
    (
        "technical english",
        "Authentication middleware validates the bearer token, resolves the organisation, and attaches an immutable request context. Subsequent handlers retrieve configuration through dependency injection; asynchronous background workers acknowledge messages only after idempotent persistence succeeded. Misconfiguration surfaces immediately during initialisation instead of unpredictably at runtime.",
    ),
    (
        "legal english",
        "Notwithstanding anything to the contrary contained herein, the indemnifying party shall, at its sole expense, defend and hold harmless the other party against third-party claims, liabilities, and reasonable attorneys' fees arising out of any misrepresentation or breach of the aforementioned obligations.",
    ),
    (
        "rust",
        "impl<T: Ord + Clone> Heap<T> {\n    pub fn push(&mut self, value: T) -> Result<usize, HeapError> {\n        if self.items.len() >= self.capacity {\n            return Err(HeapError::Full { capacity: self.capacity });\n        }\n        self.items.push(value);\n        let mut i = self.items.len() - 1;\n        while i > 0 && self.items[i] < self.items[(i - 1) / 2] {\n            self.items.swap(i, (i - 1) / 2);\n            i = (i - 1) / 2;\n        }\n        Ok(i)\n    }\n}\n",
    ),
    (
        "python",
        "def load_rows(path: str, *, skip_header: bool = True) -> list[dict[str, str]]:\n    \"\"\"Read a file of comma separated values.\"\"\"\n    rows = []\n    with open(path, newline=\"\") as handle:\n        for index, line in enumerate(handle):\n            if index == 0 and skip_header:\n                continue\n            fields = [field.strip() for field in line.rstrip(\"\\n\").split(\",\")]\n            rows.append({\"id\": fields[0], \"name\": fields[1], \"total_amount\": fields[2]})\n    return rows\n",
    ),
    (
        "javascript",
        "export const fetchUser = async (userId, { retries = 3, baseUrl } = {}) => {\n  for (let attempt = 0; attempt < retries; attempt++) {\n    const response = await fetch(`${baseUrl}/api/v2/users/${userId}`);\n    if (response.ok) return response.json();\n    await new Promise((resolve) => setTimeout(resolve, 2 ** attempt * 100));\n  }\n  throw new Error(`user ${userId} could not be loaded`);\n};\n",
    ),
    (
        "json",
        "{\"id\":\"msg_0481\",\"created\":1718194200,\"model\":\"small-chat\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Good morning\"},\"finish_reason\":null}],\"usage\":{\"prompt_tokens\":1204,\"completion_tokens\":56,\"total_tokens\":1260}}",
    ),
    (
        "markdown",
        "# Release notes\n\n## 2.4.0\n\n- **Faster start**: indexes are loaded when first asked for (`lazy = true`)\n- Fixed a crash when the folder was empty\n\n| name | before | after |\n|------|-------:|------:|\n| open | 812 ms | 96 ms |\n| scan | 14 ms | 11 ms |\n\n> See [the guide](https://example.com/guide#start) for more.\n",
    ),
    (
        "identifiers",
        "7f3c9a1e-52b4-4d0f-9c1a-88e2f0b6d415 sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 QmXoypizjW3WknFiJnKLwHCnL72vedxjQkDDP1mXWo6uco eyJhbGciOiJIUzI1NiJ9",
    ),
    (
        "urls",
        "https://docs.example.org/en/latest/reference/api.html?version=3.2&lang=en#section-14 https://cdn.example.net/assets/img/2024/06/hero-banner@2x.webp mailto:support@example.com",
    ),
    (
        "digits",
        "1 22 333 4444 55555 666666 3.14159265358979 2,718,281 +49 30 901820 12:45:07 2024-06-12 0.00012 1e-9 99.95 1024 65536 4294967296",
    ),
    (
        "csv",
        "date,city,low,high,rain\n2024-01-03,Bergen,1.5,4.0,22.4\n2024-01-04,Bergen,0.2,3.1,8.9\n2024-01-05,Oslo,-7.8,-2.0,0.0\n2024-01-06,Oslo,-9.1,-3.3,0.1\n",
    ),
    (
        "log",
        "2024-06-12T15:30:04.512Z WARN  [worker-7] queue::consumer: retrying job=81723 attempt=3/5 error=\"connection reset by peer\" elapsed_ms=1042\n2024-06-12T15:30:05.003Z INFO  [worker-7] queue::consumer: done job=81723\n",
    ),
    (
        "spanish",
        "Ayer por la tarde fuimos al mercado con mi abuela. Compró tomates, pimientos y un pescado enorme, y nos contó cómo era el barrio cuando ella tenía nuestra edad. Después cocinamos juntos; mi hermano quemó el arroz, pero nadie se quejó demasiado.",
    ),
    (
        "german",
        "Gestern Abend haben wir lange über die Wohnungssuche gesprochen. Die Besichtigungstermine sind schwierig zu bekommen, und die Nebenkostenabrechnung überrascht einen jedes Jahr aufs Neue. Trotzdem möchten wir spätestens im Frühling umziehen, weil der Arbeitsweg sonst unerträglich wird.",
    ),
    (
        "french",
        "Hier soir, nous avons dîné chez des amis près de la rivière. Ils avaient préparé une soupe à l'oignon, puis un gâteau aux noix que personne n'a réussi à finir. En rentrant, nous avons été surpris par la pluie et nous avons couru jusqu'à l'arrêt.",
    ),
    (
        "portuguese",
        "Na semana passada comecei a aprender a tocar violão. As primeiras lições foram difíceis, mas a minha professora tem muita paciência e já consigo acompanhar duas canções inteiras sem olhar para as mãos.",
    ),
    (
        "polish",
        "Wczoraj późnym wieczorem wróciliśmy z wycieczki w góry. Szlak był śliski, ponieważ przez całą noc padał deszcz, ale widoki wynagrodziły nam wszystko. Jutro zamierzamy odpocząć i przejrzeć zdjęcia.",
    ),
    (
        "turkish",
        "Geçen hafta sonu arkadaşlarımla birlikte deniz kıyısında uzun bir yürüyüş yaptık. Hava çok güzeldi, çocuklar uçurtma uçuruyordu ve akşama doğru küçük bir lokantada balık yedik.",
    ),
    (
        "vietnamese",
        "Hôm qua tôi đi chợ với mẹ và mua rất nhiều trái cây tươi. Buổi tối cả nhà cùng nấu ăn, nói chuyện về chuyến du lịch sắp tới và xem lại những bức ảnh cũ.",
    ),
    (
        "russian",
        "Вчера вечером мы долго гуляли по набережной и разговаривали о будущем. Брат рассказывал, как устроился на новую работу, а я слушал и думал, что пора наконец закончить ремонт на кухне. Завтра обещают дождь, поэтому останемся дома.",
    ),
    (
        "ukrainian",
        "Учора ми з друзями поїхали за місто, щоб подивитися на стару фортецю. Дорога виявилася довшою, ніж здавалося, зате краєвиди були чудові, і ми встигли повернутися до вечора.",
    ),
    (
        "greek",
        "Χθες το βράδυ περπατήσαμε στην παλιά πόλη και καθίσαμε σε μια μικρή ταβέρνα κοντά στο λιμάνι. Ο ιδιοκτήτης μας διηγήθηκε ιστορίες από τα ταξίδια του στη θάλασσα.",
    ),
    (
        "arabic",
        "ذهبنا أمس إلى السوق القديم مع العائلة واشترينا الخبز والتمر والقهوة. جلسنا بعد ذلك قرب النهر وتحدثنا طويلا عن السفر والعمل والأصدقاء الذين لم نرهم منذ سنوات.",
    ),
    (
        "persian",
        "دیروز با دوستانم به کوه رفتیم و تا غروب آفتاب آنجا ماندیم. هوا سرد بود ولی منظره بسیار زیبا بود و چای داغ حال همه را خوب کرد.",
    ),
    (
        "hebrew",
        "אתמול בערב ישבנו על המרפסת ודיברנו על הטיול הבא. אחי רוצה לנסוע לצפון, ואני מעדיף לישון בבית ולקרוא ספר טוב ליד החלון.",
    ),
    (
        "hindi",
        "कल शाम हम सब परिवार के साथ पुराने बाज़ार गए और वहाँ से ताज़ी सब्ज़ियाँ और मिठाई ख़रीदी। लौटते समय बारिश शुरू हो गई, इसलिए हमने एक छोटी दुकान में बैठकर चाय पी और बातें कीं।",
    ),
    (
        "bengali",
        "গতকাল বিকেলে আমরা নদীর ধারে হাঁটতে গিয়েছিলাম। আকাশে মেঘ ছিল, তবু বাতাস ছিল খুব সুন্দর, আর ফেরার পথে সবাই মিলে চা খেলাম।",
    ),
    (
        "tamil",
        "நேற்று மாலை நாங்கள் கடற்கரைக்குச் சென்றோம். குழந்தைகள் மணலில் விளையாடினார்கள், பெரியவர்கள் பழைய நினைவுகளைப் பேசிக்கொண்டிருந்தார்கள்.",
    ),
    ("thai", "เมื่อวานนี้ครอบครัวของเราไปเที่ยวตลาดน้ำด้วยกัน อากาศร้อนมากแต่อาหารอร่อย เราซื้อผลไม้กลับบ้านหลายอย่างและถ่ายรูปไว้เยอะมาก"),
    (
        "chinese",
        "昨天晚上我们一家人去河边散步，聊了很多以前的事情。弟弟说他下个月要换工作，妈妈有点担心，但是爸爸觉得年轻人应该多尝试。回家的路上下起了小雨，大家跑着笑着，好像又回到了小时候。",
    ),
    (
        "traditional chinese",
        "昨天晚上我們一家人去河邊散步，聊了很多以前的事情。弟弟說他下個月要換工作，媽媽有點擔心，但是爸爸覺得年輕人應該多嘗試，於是我們決定週末再好好討論。",
    ),
    (
        "japanese",
        "昨日の夜、家族みんなで川のそばを散歩しながら、昔のことをたくさん話しました。弟は来月から新しい会社で働くそうです。帰り道に雨が降り出して、コンビニでビニール傘を買いました。",
    ),
    (
        "korean",
        "어제 저녁에 가족들과 함께 강변을 산책하면서 옛날 이야기를 많이 나누었습니다. 동생은 다음 달부터 새로운 회사에서 일하게 되었고, 우리는 집에 돌아와 따뜻한 차를 마셨습니다.",
    ),
    ("emoji", "🎉🎂 happy birthday!! 🥳🥳 see you at 8 👋🏽 👨‍👩‍👧‍👦 🇵🇹✈️ 🍕🍷 ❤️🔥 💯✅ 😂😭🤔🙏🏻"),
    ("mathematics", "∀x∈ℝ: x² ≥ 0 ⇒ √(x²) = |x|; ∑ᵢ₌₁ⁿ i = n(n+1)/2, ∫₀^∞ e^{-x²} dx = √π/2, α ≤ β → γ ≠ δ ± 0.5%"),
    (
        "latex",
        "\\begin{equation}\n  \\hat{\\beta} = (X^{\\top} X + \\lambda I)^{-1} X^{\\top} y, \\qquad \\mathbb{E}[\\hat{\\beta}] \\neq \\beta\n\\end{equation}\n",
    ),
    (
        "shouting",
        "PLEASE READ THE INSTRUCTIONS BEFORE OPENING THE PACKAGE. DO NOT EXPOSE THE BATTERY TO WATER OR DIRECT SUNLIGHT!",
    ),
    (
        "white space",
        "name\t\tvalue\n\n\n\n        deeply        indented\n\t\t\ttabs   and    spaces\r\n\r\n    end    \n",
    ),
    (
        "mixed",
        "Der Fehler kommt aus `parse_header()` in src/http.rs:214, siehe Ticket #4821 – bitte bis Montag fixen 🙏 (cc @anna, 请确认一下)",
    ),
];
