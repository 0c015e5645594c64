// Runs each step in order, until one fails.
export const run = async steps => {
  for (const [name, step] of Object.entries(steps)) {
    try {
      await step()
    } catch (error) {
      console.error(`failed ${name}:`, error)
      process.exit(1)
    }
    console.log(`ok ${name}`)
  }
}
