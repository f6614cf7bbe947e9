// Remember, ask, stream: no key, no server and no download needed.
import { Syntra } from 'syntra'

const me = { org: 'acme', user: 'ada' }
const assistant = await Syntra.open() // { dataDir: 'folder' } keeps everything; Syntra.fromEnv() takes the providers that your key variables name
await assistant.remember(me, ['The spare key is under the blue pot.', 'The pot stands by the back door.'])
const answer = await assistant.ask(me, 'Where is the spare key?')
console.log(answer.text, answer.citations.map((citation) => citation.url))
for await (const piece of assistant.stream(me, 'And where does the pot stand?', { thread: answer.threadId }).texts()) process.stdout.write(piece)
console.log()
console.log((await assistant.recall(me, 'blue pot')).items[0].memory.text)
assistant.close()
