/**
 * A provider for the Vercel AI SDK (language models of its third specification, as `ai` 6 takes them):
 *
 * ```js
 * const { generateText } = require('ai')
 * const { createSyntra } = require('syntra/ai-sdk')
 * const syntra = createSyntra(await Syntra.open(), { org: 'acme', user: 'ada' })
 * const { text } = await generateText({ model: syntra(), prompt: 'Where is the key?' })
 * ```
 */

import type {
  LanguageModelV3, LanguageModelV3CallOptions, LanguageModelV3Content, LanguageModelV3FinishReason, LanguageModelV3Message,
  LanguageModelV3StreamPart, LanguageModelV3ToolResultOutput, LanguageModelV3Usage, SharedV3Warning,
} from '@ai-sdk/provider'
import type { Syntra } from './syntra'
import type { Answer, Answered, AskOptions, Citation, Event, Json, Message, Part, Scope, Usage } from './types'

/** Options of a question for every call; `providerOptions.syntra` of a call goes before them. */
export type SyntraModelOptions = Omit<AskOptions, 'history' | 'signal' | 'tools' | 'toolResults' | 'model'>

/** Makes language models of one assistant, on behalf of one scope. */
export interface SyntraProvider {
  /** The model `modelId`: `provider/model`, or `auto` (the default) to leave the choice to the router. */
  (modelId?: string): LanguageModelV3
  languageModel(modelId: string): LanguageModelV3
}

/**
 * Language models for the AI SDK over `assistant`. The conversation is the caller's, as the SDK has it; with a `thread` among the options
 * Syntra keeps it and only the last message counts.
 */
export function createSyntra(assistant: Syntra, scope: Scope, options: SyntraModelOptions = {}): SyntraProvider {
  const languageModel = (modelId = 'auto'): LanguageModelV3 => new SyntraModel(assistant, scope, options, modelId)
  return Object.assign((modelId?: string) => languageModel(modelId), { languageModel })
}

interface Asked { question: Message; options: AskOptions; warnings: SharedV3Warning[] }

class SyntraModel implements LanguageModelV3 {
  readonly specificationVersion = 'v3'
  readonly provider = 'syntra'
  readonly supportedUrls = { 'image/*': [/^https?:\/\//], 'application/pdf': [/^https?:\/\//] }

  constructor(
    private readonly assistant: Syntra,
    private readonly scope: Scope,
    private readonly defaults: SyntraModelOptions,
    readonly modelId: string,
  ) {}

  async doGenerate(given: LanguageModelV3CallOptions): Promise<Awaited<ReturnType<LanguageModelV3['doGenerate']>>> {
    const { question, options, warnings } = this.#asked(given)
    const answer = await this.assistant.ask(this.scope, question, options)
    return {
      content: content(answer),
      finishReason: finishReason(answer.finish),
      usage: usage(answer.usage),
      warnings,
      response: { id: answer.messageId, modelId: modelOf(answer) },
      providerMetadata: { syntra: about(answer) },
    }
  }

  async doStream(given: LanguageModelV3CallOptions): Promise<Awaited<ReturnType<LanguageModelV3['doStream']>>> {
    const { question, options, warnings } = this.#asked(given)
    const events = this.assistant.stream(this.scope, question, options)
    const parts = streamed(events, warnings)
    const stream = new ReadableStream<LanguageModelV3StreamPart>({
      async pull(controller) {
        const { done, value } = await parts.next()
        if (done === true) controller.close()
        else controller.enqueue(value)
      },
      cancel: () => events.close(),
    })
    return { stream }
  }

  #asked(given: LanguageModelV3CallOptions): Asked {
    const warnings: SharedV3Warning[] = []
    for (const feature of ['topP', 'topK', 'presencePenalty', 'frequencyPenalty'] as const) {
      if (given[feature] !== undefined) warnings.push({ type: 'unsupported', feature })
    }
    const options: AskOptions = { ...this.defaults, ...(given.providerOptions?.syntra as SyntraModelOptions | undefined) }
    const { question, history, instructions } = conversation(given.prompt)
    if (options.thread === undefined) options.history = history
    if (this.modelId !== 'auto') options.model = this.modelId
    const both = [options.instructions, instructions].filter((text) => text !== undefined && text !== '')
    if (both.length > 0) options.instructions = both.join('\n\n')
    if (given.temperature !== undefined) options.temperature = given.temperature
    if (given.maxOutputTokens !== undefined) options.maxTokens = given.maxOutputTokens
    if (given.stopSequences !== undefined) options.stop = given.stopSequences
    if (given.seed !== undefined) options.seed = given.seed
    if (given.abortSignal !== undefined) options.signal = given.abortSignal
    if (given.responseFormat?.type === 'json') {
      options.json = true
      if (given.responseFormat.schema !== undefined) options.jsonSchema = given.responseFormat.schema as Json
      if (given.responseFormat.name !== undefined) options.jsonSchemaName = given.responseFormat.name
    }
    for (const tool of given.tools ?? []) {
      if (tool.type !== 'function') warnings.push({ type: 'unsupported', feature: `provider tool ${tool.id}` })
      else (options.tools ??= []).push({ name: tool.name, description: tool.description ?? '', parameters: tool.inputSchema as Json })
    }
    const choice = given.toolChoice
    if (choice !== undefined) options.toolChoice = choice.type === 'tool' ? { named: choice.toolName } : choice.type
    return { question, options, warnings }
  }
}

interface Conversation { question: Message; history: Message[]; instructions?: string }

/** System texts become instructions, the last message is the question, the rest the history. */
function conversation(prompt: LanguageModelV3Message[]): Conversation {
  const system: string[] = []
  const said: Message[] = []
  for (const message of prompt) {
    if (message.role === 'system') system.push(message.content)
    else if (message.role === 'tool' && said.at(-1)?.role === 'tool') said.at(-1)?.parts.push(...parts(message))
    else said.push({ role: message.role, parts: parts(message) })
  }
  const question = said.pop()
  if (question === undefined || question.role === 'assistant') throw new TypeError("the last message must be the user's or a tool's")
  return { question, history: said, ...(system.length > 0 && { instructions: system.join('\n\n') }) }
}

function parts(message: Exclude<LanguageModelV3Message, { role: 'system' }>): Part[] {
  return message.content.flatMap((part): Part[] => {
    switch (part.type) {
      case 'text': return [{ type: 'text', text: part.text }]
      case 'reasoning': return [{ type: 'reasoning', text: part.text }]
      case 'tool-call': return [{ type: 'tool_call', id: part.toolCallId, name: part.toolName, arguments: part.input as Json }]
      case 'tool-result': {
        const { content, isError } = output(part.output)
        return [{ type: 'tool_result', callId: part.toolCallId, name: part.toolName, content, isError }]
      }
      case 'file': {
        const data = part.data instanceof URL ? { url: part.data.href } : { data: bytes(part.data), mediaType: part.mediaType }
        if (part.mediaType.startsWith('image/')) return [{ type: 'image', ...data }]
        return [{ type: 'document', ...data, ...(part.filename !== undefined && { title: part.filename }) }]
      }
      // Who approved what is the SDK's affair; the result follows as one.
      default: return []
    }
  })
}

const bytes = (data: string | Uint8Array): Uint8Array => (typeof data === 'string' ? Buffer.from(data, 'base64') : data)

function output(given: LanguageModelV3ToolResultOutput): { content: string; isError: boolean } {
  switch (given.type) {
    case 'text': return { content: given.value, isError: false }
    case 'error-text': return { content: given.value, isError: true }
    case 'execution-denied': return { content: given.reason ?? 'it was not allowed', isError: true }
    default: return { content: JSON.stringify(given.value), isError: given.type === 'error-json' }
  }
}

function source(citation: Citation, n: number): LanguageModelV3Content & LanguageModelV3StreamPart & { type: 'source' } {
  const title = citation.title ?? citation.snippet ?? citation.url
  if (/^https?:/.test(citation.url)) return { type: 'source', sourceType: 'url', id: `s${n}`, url: citation.url, title }
  return { type: 'source', sourceType: 'document', id: `s${n}`, mediaType: 'text/plain', title, filename: citation.url }
}

function content(answer: Answer): LanguageModelV3Content[] {
  const out: LanguageModelV3Content[] = []
  if (answer.reasoning !== '') out.push({ type: 'reasoning', text: answer.reasoning })
  if (answer.text !== '') out.push({ type: 'text', text: answer.text })
  for (const call of answer.toolCalls) {
    out.push({ type: 'tool-call', toolCallId: call.id, toolName: call.name, input: JSON.stringify(call.arguments) })
  }
  return [...out, ...answer.citations.map(source)]
}

function finishReason(finish: string): LanguageModelV3FinishReason {
  const unified = { stop: 'stop', length: 'length', tool_calls: 'tool-calls', content_filter: 'content-filter', refusal: 'content-filter' } as const
  return { unified: unified[finish as keyof typeof unified] ?? 'other', raw: finish }
}

function usage(given: Usage): LanguageModelV3Usage {
  const { inputTokens, outputTokens, cachedInputTokens, cacheWriteTokens, reasoningTokens } = given
  const less = (all?: number, some?: number): number | undefined => (all === undefined ? undefined : all - (some ?? 0))
  return {
    inputTokens: { total: inputTokens, noCache: less(inputTokens, cachedInputTokens), cacheRead: cachedInputTokens, cacheWrite: cacheWriteTokens },
    outputTokens: { total: outputTokens, text: less(outputTokens, reasoningTokens), reasoning: reasoningTokens },
  }
}

const modelOf = (answered: Answered): string => (answered.provider === undefined ? 'syntra/memory' : `${answered.provider}/${answered.model}`)

function about(answered: Answered): { [key: string]: string | number | boolean } {
  const { turnId, threadId, degraded, cost } = answered
  return { turnId, threadId, degraded, model: modelOf(answered), ...(cost !== undefined && { costNanoUsd: cost }) }
}

async function* streamed(events: AsyncIterable<Event>, warnings: SharedV3Warning[]): AsyncGenerator<LanguageModelV3StreamPart> {
  let open: 'text' | 'reasoning' | undefined
  let blocks = 0
  let sources = 0
  let reason: string | undefined
  const id = (): string => String(blocks)
  function* into(kind: 'text' | 'reasoning' | undefined): Generator<LanguageModelV3StreamPart> {
    if (open === kind) return
    if (open !== undefined) yield { type: `${open}-end`, id: id() }
    if (kind !== undefined) {
      blocks++
      yield { type: `${kind}-start`, id: id() }
    }
    open = kind
  }
  yield { type: 'stream-start', warnings }
  try {
    for await (const event of events) {
      switch (event.type) {
        case 'routed':
          yield { type: 'response-metadata', modelId: `${event.provider}/${event.model}` }
          break
        case 'text':
        case 'reasoning':
          yield* into(event.type)
          yield { type: `${event.type}-delta`, id: id(), delta: event.text }
          break
        case 'tool_call': {
          yield* into(undefined)
          const input = JSON.stringify(event.arguments)
          yield { type: 'tool-input-start', id: event.id, toolName: event.name }
          yield { type: 'tool-input-delta', id: event.id, delta: input }
          yield { type: 'tool-input-end', id: event.id }
          yield { type: 'tool-call', toolCallId: event.id, toolName: event.name, input }
          break
        }
        case 'citation':
          yield source(event, sources++)
          break
        case 'finish':
          reason = event.reason
          break
        case 'done':
          yield* into(undefined)
          yield {
            type: 'finish', usage: usage(event.usage), finishReason: finishReason(reason ?? 'stop'), providerMetadata: { syntra: about(event) },
          }
      }
    }
  } catch (error) {
    yield* into(undefined)
    yield { type: 'error', error }
  }
}
